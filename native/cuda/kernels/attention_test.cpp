#include "cuda/kernels/attention.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "cuda/test/compare.h"
#include "cuda/test/test.h"

namespace tvn::cuda {
namespace {

using namespace test;
using Doubles = std::vector<double>;

AttentionShape shape(int n, int queries, int keys, int depth) { return {n, queries, keys, depth, stored_channels(depth)}; }

std::string text(const AttentionShape& s) {
  return std::to_string(s.n) + " clips, " + std::to_string(s.queries) + " queries, " + std::to_string(s.keys) + " keys, depth " +
         std::to_string(s.depth);
}

/** Edges of tiles (16 and 64 queries, 32 keys, 64 channels), blocks of two and of four warps, and shapes by lot. */
std::vector<AttentionShape> shapes(Random& random) {
  std::vector<AttentionShape> all = {shape(1, 1, 1, 8),     shape(2, 16, 32, 64),  shape(1, 17, 33, 65), shape(3, 64, 31, 128),
                                     shape(1, 15, 64, 129), shape(1, 70, 70, 257), shape(1, 3, 5, 1024), shape(161, 2, 3, 16),
                                     shape(161, 3, 2, 72),  shape(40, 70, 66, 8)};
  for (const int depth : {1, 8, 16, 24, 32, 100, 257})
    for (int i = 0; i < 4; i++) all.push_back(shape(random.integer(1, 3), random.integer(1, 70), random.integer(1, 70), depth));
  return all;
}

/** The contract in f64, one query after another, with the magnitudes of the sums that results are made of. */
struct Reference {
  AttentionShape s;
  Doubles theta, phi, g, dy;
  Doubles y, log_sums, dtheta, dphi, dg, y_size, dtheta_size, dphi_size, dg_size;
  double score_size = 0;  // the largest Σ |theta·phi| / sqrt(D)

  double scale() const { return 1 / std::sqrt(static_cast<double>(s.depth)); }
  size_t query_at(int n, int query) const { return static_cast<size_t>((n * s.queries + query) * s.stored); }
  size_t key_at(int n, int key) const { return static_cast<size_t>((n * s.keys + key) * s.stored); }
  size_t channels() const { return static_cast<size_t>(s.stored); }

  /** Probabilities of the keys of one query. */
  Doubles probabilities(int n, int query, double& log_sum) {
    Doubles p(static_cast<size_t>(s.keys));
    const size_t q = query_at(n, query);
    double largest = -HUGE_VAL, sum = 0;
    for (int key = 0; key < s.keys; key++) {
      double score = 0, size = 0;
      for (size_t c = 0; c < channels(); c++) {
        const double product = theta[q + c] * phi[key_at(n, key) + c] * scale();
        score += product;
        size += std::fabs(product);
      }
      p[static_cast<size_t>(key)] = score;
      largest = std::max(largest, score);
      score_size = std::max(score_size, size);
    }
    for (const double score : p) sum += std::exp(score - largest);
    log_sum = largest + std::log(sum);
    for (double& score : p) score = std::exp(score - log_sum);
    return p;
  }
  void forward() {
    for (auto* v : {&y, &y_size}) v->assign(theta.size(), 0);
    log_sums.assign(static_cast<size_t>(s.n * s.queries), 0);
    for (int n = 0; n < s.n; n++)
      for (int query = 0; query < s.queries; query++) {
        const Doubles p = probabilities(n, query, log_sums[static_cast<size_t>(n * s.queries + query)]);
        for (int key = 0; key < s.keys; key++)
          for (size_t c = 0; c < channels(); c++) {
            const double term = p[static_cast<size_t>(key)] * g[key_at(n, key) + c];
            y[query_at(n, query) + c] += term;
            y_size[query_at(n, query) + c] += std::fabs(term);
          }
      }
  }
  void backward() {
    for (auto* v : {&dtheta, &dtheta_size}) v->assign(theta.size(), 0);
    for (auto* v : {&dphi, &dphi_size, &dg, &dg_size}) v->assign(phi.size(), 0);
    for (int n = 0; n < s.n; n++)
      for (int query = 0; query < s.queries; query++) {
        double log_sum = 0, mean = 0, mean_size = 0;
        const Doubles p = probabilities(n, query, log_sum);
        Doubles dp(p.size()), dp_size(p.size());
        const size_t q = query_at(n, query);
        for (int key = 0; key < s.keys; key++) {
          const size_t i = static_cast<size_t>(key);
          for (size_t c = 0; c < channels(); c++) {
            const double product = dy[q + c] * g[key_at(n, key) + c];
            dp[i] += product;
            dp_size[i] += std::fabs(product);
          }
          mean += p[i] * dp[i];
          mean_size += p[i] * dp_size[i];
        }
        for (int key = 0; key < s.keys; key++) {
          const size_t i = static_cast<size_t>(key), k = key_at(n, key);
          const double ds = p[i] * (dp[i] - mean) * scale(), size = p[i] * (dp_size[i] + mean_size) * scale();
          for (size_t c = 0; c < channels(); c++) {
            dtheta[q + c] += ds * phi[k + c];
            dtheta_size[q + c] += size * std::fabs(phi[k + c]);
            dphi[k + c] += ds * theta[q + c];
            dphi_size[k + c] += size * std::fabs(theta[q + c]);
            dg[k + c] += p[i] * dy[q + c];
            dg_size[k + c] += p[i] * std::fabs(dy[q + c]);
          }
        }
      }
  }
};

struct Spread {
  double theta = 2, phi = 2, g = 1, dy = 1;
};

struct Problem {
  std::vector<half> theta, phi, g, dy;
  Reference want;

  Problem(Random& random, const AttentionShape& s, const Spread& spread = {}) {
    const size_t queries = static_cast<size_t>(s.n * s.queries), keys = static_cast<size_t>(s.n * s.keys);
    theta = random_rows<half>(random, queries, s.depth, s.stored, spread.theta);
    phi = random_rows<half>(random, keys, s.depth, s.stored, spread.phi);
    g = random_rows<half>(random, keys, s.depth, s.stored, spread.g);
    dy = random_rows<half>(random, queries, s.depth, s.stored, spread.dy);
    want.s = s;
    want.theta = to_doubles(theta), want.phi = to_doubles(phi), want.g = to_doubles(g), want.dy = to_doubles(dy);
    want.forward();
  }
};

void run_forward(const Problem& p, DeviceArray<half>& y, float* log_sums) {
  DeviceArray<half> theta(p.theta), phi(p.phi), g(p.g);
  attention_forward(p.want.s, {theta.data(), phi.data(), g.data(), y.data(), log_sums}, nullptr);
  check(cudaDeviceSynchronize(), "attention_forward");
}

/** An error of a score, a sum of `depth` products, is one of its probability, relative to it. */
double terms_of(const Reference& r) { return r.s.keys + r.s.queries + 2 * r.s.stored * (1 + r.score_size); }

void expect_forward(Random& random, const AttentionShape& s, const Spread& spread = {}) {
  const Trace trace(text(s));
  const Problem p(random, s, spread);
  DeviceArray<half> y(p.theta.size());
  DeviceArray<float> log_sums(p.want.log_sums.size());
  run_forward(p, y, log_sums.data());
  // Weights are halves; those below 2⁻¹⁴ of the largest lose bits.
  expect_close(y.doubles(), p.want.y, {0x1p-11, terms_of(p.want), 1, 0x1p-24 + s.keys * 0x1p-25 * spread.g}, p.want.y_size);
  expect_close(log_sums.doubles(), p.want.log_sums, {0x1p-24, static_cast<double>(s.stored + s.keys), 0, 1e-6},
               Doubles(p.want.log_sums.size(), 1 + p.want.score_size));
  const std::vector<half> first = y.read();
  run_forward(p, y, nullptr);
  expect_same_bits(y, first);
}

CUDA_TEST(attention_forward_is_the_reference) {
  Random random;
  for (const AttentionShape& s : shapes(random)) expect_forward(random, s);
}

CUDA_TEST(attention_survives_large_scores) {
  Random random;
  expect_forward(random, shape(2, 40, 50, 8), {40, 40, 1, 1});
  expect_forward(random, shape(1, 40, 50, 100), {250, 250, 100, 1});
}

CUDA_TEST(attention_shows_nan) {
  Random random;
  Problem p(random, shape(1, 40, 50, 24));
  p.theta[1 * 24 + 5] = __float2half(std::numeric_limits<float>::quiet_NaN());
  DeviceArray<half> y(p.theta.size());
  DeviceArray<float> log_sums(40);
  run_forward(p, y, log_sums.data());
  const Doubles values = y.doubles(), logs = log_sums.doubles();
  bool right = true;
  for (size_t i = 0; i < values.size(); i++) right = right && std::isnan(values[i]) == (i / 24 == 1);
  EXPECT(right);
  for (size_t i = 0; i < logs.size(); i++) EXPECT(std::isnan(logs[i]) == (i == 1));
}

struct Gradients {
  DeviceArray<half> dtheta, dphi, dg;
  explicit Gradients(const Problem& p) : dtheta(p.theta.size()), dphi(p.phi.size()), dg(p.g.size()) {}
};

/** From the reference's y and log_sums, so that it is tested alone. */
void run_backward(const Problem& p, Gradients& to) {
  std::vector<half> rounded(p.want.y.size());
  for (size_t i = 0; i < rounded.size(); i++) from_double(p.want.y[i], rounded[i]);
  DeviceArray<half> theta(p.theta), phi(p.phi), g(p.g), y(rounded), dy(p.dy);
  DeviceArray<float> log_sums(std::vector<float>(p.want.log_sums.begin(), p.want.log_sums.end())),
      workspace(attention_workspace(p.want.s) / sizeof(float));
  attention_backward(p.want.s,
                     {theta.data(), phi.data(), g.data(), y.data(), dy.data(), log_sums.data(), to.dtheta.data(), to.dphi.data(),
                      to.dg.data(), workspace.data()},
                     nullptr);
  check(cudaDeviceSynchronize(), "attention_backward");
}

void expect_backward(Random& random, const AttentionShape& s, const Spread& spread = {}) {
  const Trace trace(text(s));
  Problem p(random, s, spread);
  Gradients got(p);
  run_backward(p, got);
  p.want.backward();
  // y, p and ds are halves.
  const Tolerance tolerance = {0x1p-11, terms_of(p.want), 2};
  expect_close(got.dtheta.doubles(), p.want.dtheta, tolerance, p.want.dtheta_size);
  expect_close(got.dphi.doubles(), p.want.dphi, tolerance, p.want.dphi_size);
  expect_close(got.dg.doubles(), p.want.dg, tolerance, p.want.dg_size);
  const std::vector<half> dtheta = got.dtheta.read(), dphi = got.dphi.read(), dg = got.dg.read();
  run_backward(p, got);
  expect_same_bits(got.dtheta, dtheta);
  expect_same_bits(got.dphi, dphi);
  expect_same_bits(got.dg, dg);
}

CUDA_TEST(attention_backward_is_the_reference) {
  Random random;
  for (const AttentionShape& s : shapes(random)) expect_backward(random, s);
}

/** Gradients of scores are smaller than halves, and larger, where their products are neither. */
CUDA_TEST(attention_backward_has_the_range_of_floats) {
  Random random;
  expect_backward(random, shape(1, 60, 70, 16), {1000, 1e-3, 1, 2e-4});
  expect_backward(random, shape(1, 60, 70, 16), {1e-3, 1e-3, 1000, 4000});
}

CUDA_TEST(attention_backward_shows_nan) {
  Random random;
  Problem p(random, shape(1, 40, 50, 24));
  p.dy[7 * 24 + 3] = __float2half(std::numeric_limits<float>::quiet_NaN());
  Gradients got(p);
  run_backward(p, got);
  const Doubles dtheta = got.dtheta.doubles(), dphi = got.dphi.doubles(), dg = got.dg.doubles();
  bool right = true;
  for (size_t i = 0; i < dtheta.size(); i++) right = right && std::isnan(dtheta[i]) == (i / 24 == 7);
  for (size_t i = 0; i < dphi.size(); i++) right = right && std::isnan(dphi[i]) && std::isnan(dg[i]) == (i % 24 == 3);
  EXPECT(right);
}

CUDA_TEST(attention_gradients_match_finite_differences) {
  Random random;
  Reference r = Problem(random, shape(2, 5, 4, 3)).want;
  r.backward();
  const Reference gradients = r;
  const auto loss = [&] {
    r.forward();
    return dot(r.y, r.dy);
  };
  expect_gradient("dtheta", r.theta, gradients.dtheta, loss);
  expect_gradient("dphi", r.phi, gradients.dphi, loss);
  expect_gradient("dg", r.g, gradients.dg, loss);
}

}  // namespace
}  // namespace tvn::cuda
