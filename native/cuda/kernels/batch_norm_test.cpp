#include "cuda/kernels/batch_norm.h"

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "cuda/test/compare.h"
#include "cuda/test/test.h"

namespace tvn::cuda {
namespace {

using namespace test;

constexpr Function functions[] = {Function::none, Function::relu, Function::hswish, Function::sigmoid};
constexpr float epsilon = 1e-3f;
/** Roundings one after another in a sum: rows of a thread, the tree of a block, chunks of a thread, the tree over chunks. */
constexpr double depth = 48;

std::vector<BatchNormShape> shapes() {
  std::vector<BatchNormShape> all = {{20000, 8, 8}, {3, 2049, 2056}};
  for (const int channels : {1, 3, 7, 8, 9, 16, 24, 65, 257})
    for (const int rows : {1, 2, 3, 15, 16, 17, 67, 509, 5000}) all.push_back({rows, channels, stored_channels(channels)});
  return all;
}

std::string text(const BatchNormShape& s, Function function) {
  return std::to_string(s.rows) + " rows, " + std::to_string(s.channels) + " channels, function " +
         std::to_string(static_cast<int>(function));
}

/** The contract in f64, one channel after another, with the magnitudes of the sums that results are made of. */
struct Reference {
  BatchNormShape s;
  Function function;
  std::vector<double> x, dy, gamma, beta;
  std::vector<double> mean, variance, mean_size, variance_size, y, y_size;
  std::vector<double> dgamma, dbeta, dgamma_size, dbeta_size, dx, dx_size;

  size_t at(int row, size_t c) const { return static_cast<size_t>(row) * static_cast<size_t>(s.stored) + c; }
  double rstd(size_t c) const { return 1 / std::sqrt(variance[c] + static_cast<double>(epsilon)); }
  double normalised(int row, size_t c) const { return (x[at(row, c)] - mean[c]) * rstd(c); }
  double u(int row, size_t c) const { return gamma[c] * normalised(row, c) + beta[c]; }

  void forward() {
    const size_t channels = static_cast<size_t>(s.stored);
    for (auto* v : {&mean, &variance, &mean_size, &variance_size}) v->assign(channels, 0);
    for (auto* v : {&y, &y_size}) v->assign(x.size(), 0);
    for (size_t c = 0; c < channels; c++) {
      for (int r = 0; r < s.rows; r++) mean[c] += x[at(r, c)] / s.rows, mean_size[c] += std::fabs(x[at(r, c)]) / s.rows;
      for (int r = 0; r < s.rows; r++) variance[c] += (x[at(r, c)] - mean[c]) * (x[at(r, c)] - mean[c]) / s.rows;
      // a rounding of the mean moves every difference from it
      variance_size[c] = variance[c] + 2 * mean_size[c] * std::sqrt(variance[c]);
      for (int r = 0; r < s.rows; r++) {
        if (c < static_cast<size_t>(s.channels)) y[at(r, c)] = reference(function, u(r, c));
        y_size[at(r, c)] = std::fabs(gamma[c]) * (std::fabs(normalised(r, c)) + mean_size[c] * rstd(c)) * 2 + std::fabs(beta[c]);
      }
    }
  }
  void backward(const std::vector<double>& sum) {
    const size_t channels = static_cast<size_t>(s.stored);
    for (auto* v : {&dgamma, &dbeta, &dgamma_size, &dbeta_size}) v->assign(channels, 0);
    for (auto* v : {&dx, &dx_size}) v->assign(x.size(), 0);
    for (size_t c = 0; c < channels; c++) {
      for (int r = 0; r < s.rows; r++) {
        const double d = dy[at(r, c)] * reference_derivative(function, u(r, c)), size = 1 + mean_size[c] * rstd(c);
        dbeta[c] += d;
        dgamma[c] += d * normalised(r, c);
        dbeta_size[c] += std::fabs(d) * size;
        dgamma_size[c] += std::fabs(d) * (std::fabs(normalised(r, c)) + mean_size[c] * rstd(c));
      }
      for (int r = 0; r < s.rows; r++) {
        const double d = dy[at(r, c)] * reference_derivative(function, u(r, c)), h = normalised(r, c), scale = gamma[c] * rstd(c);
        dx[at(r, c)] = sum[at(r, c)] + scale * (d - dbeta[c] / s.rows - h * dgamma[c] / s.rows);
        dx_size[at(r, c)] =
            std::fabs(sum[at(r, c)]) + std::fabs(scale) * (std::fabs(dy[at(r, c)]) * (1 + std::fabs(u(r, c))) + dbeta_size[c] / s.rows +
                                                           (std::fabs(h) + mean_size[c] * rstd(c)) * dgamma_size[c] / s.rows);
      }
    }
  }
};

/** A problem on the device and its reference. */
struct Problem {
  std::vector<half> x, dy;
  std::vector<float> gamma, beta;
  Reference want;

  Problem(Random& random, const BatchNormShape& s, Function function, double spread = 2, double center = 0.5) {
    const size_t rows = static_cast<size_t>(s.rows);
    x = random_rows<half>(random, rows, s.channels, s.stored, spread, center);
    dy = random_rows<half>(random, rows, s.channels, s.stored);
    gamma = random_rows<float>(random, 1, s.channels, s.stored, 0.5, 1);
    beta = random_rows<float>(random, 1, s.channels, s.stored);
    want = {s, function, to_doubles(x), {}, to_doubles(gamma), to_doubles(beta), {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}};
    want.forward();
    for (int r = 0; r < s.rows; r++)
      for (size_t c = 0; c < static_cast<size_t>(s.stored); c++)
        if (jumps_near(function, want.u(r, c))) from_double(0, dy[want.at(r, c)]);
    want.dy = to_doubles(dy);
  }
  std::vector<float> floats(const std::vector<double>& values) const { return {values.begin(), values.end()}; }
};

void run_forward(const Problem& p, DeviceArray<half>& x, DeviceArray<float>& mean, DeviceArray<float>& variance, DeviceArray<half>& y) {
  DeviceArray<float> gamma(p.gamma), beta(p.beta), workspace(batch_norm_workspace(p.want.s) / sizeof(float));
  batch_norm_forward(
      p.want.s, {x.data(), gamma.data(), beta.data(), epsilon, p.want.function, mean.data(), variance.data(), y.data(), workspace.data()},
      nullptr);
  check(cudaDeviceSynchronize(), "batch_norm_forward");
}

void expect_forward(Problem& p) {
  const size_t channels = static_cast<size_t>(p.want.s.stored);
  DeviceArray<half> x(p.x), y(p.x.size());
  DeviceArray<float> mean(channels), variance(channels);
  run_forward(p, x, mean, variance, y);
  const Reference& want = p.want;
  expect_close(mean.doubles(), want.mean, {0x1p-24, depth}, want.mean_size);
  expect_close(variance.doubles(), want.variance, {0x1p-24, depth / 4, 0, 1e-12}, want.variance_size);
  expect_close(y.doubles(), want.y, {0x1p-11, depth}, want.y_size);
  const std::vector<float> first_mean = mean.read(), first_variance = variance.read();
  const std::vector<half> first = y.read();
  run_forward(p, x, mean, variance, x);
  expect_same_bits(mean, first_mean);
  expect_same_bits(variance, first_variance);
  expect_same_bits(x, first);
}

CUDA_TEST(batch_norm_forward_is_the_reference) {
  Random random;
  int i = 0;
  for (const BatchNormShape& s : shapes()) {
    const Function function = functions[i++ % 4];
    const Trace trace(text(s, function));
    Problem p(random, s, function);
    expect_forward(p);
  }
}

CUDA_TEST(batch_norm_variance_is_right_where_the_mean_is_large) {
  Random random;
  for (const BatchNormShape& s : {BatchNormShape{509, 1, 8}, {5000, 24, 24}, {20000, 8, 8}, {700, 257, 264}}) {
    const Trace trace(text(s, Function::none));
    Problem p(random, s, Function::none, 0.1, 100);
    expect_forward(p);
  }
}

/** What a pivot from the first row would get wrong. */
CUDA_TEST(batch_norm_variance_is_right_behind_outliers) {
  Random random;
  const BatchNormShape s = {5000, 9, 16};
  Problem p(random, s, Function::relu, 1, 100);
  for (int r = 0; r < 10; r++)
    for (size_t c = 0; c < 9; c++) from_double(0, p.x[p.want.at(r, c)]);
  p.want.x = to_doubles(p.x);
  p.want.forward();
  expect_forward(p);
}

CUDA_TEST(batch_norm_shows_nan) {
  Random random;
  for (const Function function : functions) {
    const BatchNormShape s = {300, 11, 16};
    const Trace trace(text(s, function));
    Problem p(random, s, function);
    p.x[p.want.at(271, 5)] = __float2half(std::numeric_limits<float>::quiet_NaN());
    DeviceArray<half> x(p.x), y(p.x.size());
    DeviceArray<float> mean(16), variance(16);
    run_forward(p, x, mean, variance, y);
    const std::vector<double> values = y.doubles(), means = mean.doubles();
    bool right = true;
    for (size_t i = 0; i < values.size(); i++) right = right && std::isnan(values[i]) == (i % 16 == 5);
    EXPECT(right);
    for (size_t c = 0; c < 16; c++) EXPECT(std::isnan(means[c]) == (c == 5));
  }
}

void run_backward(const Problem& p, DeviceArray<half>& dy, bool accumulate, DeviceArray<float>& dgamma, DeviceArray<float>& dbeta,
                  half* dx) {
  DeviceArray<half> x(p.x);
  DeviceArray<float> gamma(p.gamma), beta(p.beta), mean(p.floats(p.want.mean)), variance(p.floats(p.want.variance)),
      workspace(batch_norm_workspace(p.want.s) / sizeof(float));
  batch_norm_backward(p.want.s,
                      {x.data(), dy.data(), mean.data(), variance.data(), gamma.data(), beta.data(), epsilon, p.want.function,
                       dgamma.data(), dbeta.data(), accumulate, dx, workspace.data()},
                      nullptr);
  check(cudaDeviceSynchronize(), "batch_norm_backward");
}

void expect_backward(Random& random, Problem& p, bool accumulate) {
  const BatchNormShape& s = p.want.s;
  const size_t channels = static_cast<size_t>(s.stored);
  const std::vector<half> before = random_rows<half>(random, static_cast<size_t>(s.rows), s.channels, s.stored);
  DeviceArray<half> dy(p.dy), dx(before);
  DeviceArray<float> dgamma(channels), dbeta(channels);
  run_backward(p, dy, accumulate, dgamma, dbeta, dx.data());
  Reference& want = p.want;
  want.backward(accumulate ? to_doubles(before) : std::vector<double>(before.size()));
  expect_close(dgamma.doubles(), want.dgamma, {0x1p-24, depth}, want.dgamma_size);
  expect_close(dbeta.doubles(), want.dbeta, {0x1p-24, depth}, want.dbeta_size);
  expect_close(dx.doubles(), want.dx, {0x1p-11, depth}, want.dx_size);

  const std::vector<float> first_dgamma = dgamma.read(), first_dbeta = dbeta.read();
  const std::vector<half> first = dx.read();
  run_backward(p, dy, accumulate, dgamma, dbeta, nullptr);
  expect_same_bits(dgamma, first_dgamma);
  expect_same_bits(dbeta, first_dbeta);
  if (accumulate) return;
  run_backward(p, dy, false, dgamma, dbeta, dy.data());
  expect_same_bits(dgamma, first_dgamma);
  expect_same_bits(dy, first);
}

CUDA_TEST(batch_norm_backward_is_the_reference) {
  Random random;
  int i = 0;
  for (const BatchNormShape& s : shapes()) {
    const Function function = functions[i % 4];
    const bool accumulate = i++ / 4 % 2 == 0;
    const Trace trace(text(s, function) + (accumulate ? ", accumulating" : ""));
    Problem p(random, s, function);
    expect_backward(random, p, accumulate);
  }
}

CUDA_TEST(batch_norm_backward_is_right_where_the_mean_is_large) {
  Random random;
  const BatchNormShape s = {3000, 20, 24};
  Problem p(random, s, Function::none, 0.1, 100);
  expect_backward(random, p, false);
}

CUDA_TEST(batch_norm_gradients_match_finite_differences) {
  Random random;
  for (const Function function : functions) {
    const BatchNormShape s = {13, 8, 8};
    const Trace trace(text(s, function));
    Problem p(random, s, function);
    Reference r = p.want;
    r.backward(std::vector<double>(r.x.size()));
    const Reference gradients = r;
    const auto loss = [&] {
      r.forward();
      return dot(r.y, r.dy);
    };
    expect_gradient("dx", r.x, gradients.dx, loss);
    expect_gradient("dgamma", r.gamma, gradients.dgamma, loss);
    expect_gradient("dbeta", r.beta, gradients.dbeta, loss);
  }
}

}  // namespace
}  // namespace tvn::cuda
