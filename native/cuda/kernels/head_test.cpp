#include "cuda/kernels/head.h"

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

constexpr int class_counts[] = {1, 2, 7, 10, 157, 339};
constexpr float nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();

/** Rows of f32 whose padding must not be looked at. */
std::vector<float> logit_rows(Random& random, int rows, int count, int stored, double spread) {
  std::vector<float> values = random_rows<float>(random, static_cast<size_t>(rows), count, stored, spread);
  for (size_t i = 0; i < values.size(); i++)
    if (static_cast<int>(i) % stored >= count) values[i] = nan;
  return values;
}

/** In f64, of one output: y and dx, whose padding stays zero. */
struct OverTime {
  TemporalSoftmaxShape s;
  Doubles x, dy, y, dx, y_size, dx_size;

  void run() {
    for (auto* v : {&y, &y_size}) v->assign(static_cast<size_t>(s.n * s.stored), 0);
    for (auto* v : {&dx, &dx_size}) v->assign(x.size(), 0);
    const double scale = 1 / std::sqrt(static_cast<double>(s.frames));
    for (int n = 0; n < s.n; n++)
      for (int k = 0; k < s.outputs; k++) {
        const auto at = [&](int t) { return static_cast<size_t>((n * s.frames + t) * s.stored + k); };
        const size_t out = static_cast<size_t>(n * s.stored + k);
        double largest = -HUGE_VAL, sum = 0, size = 0;
        for (int t = 0; t < s.frames; t++) largest = std::max(largest, x[at(t)]), size = std::max(size, std::fabs(x[at(t)]));
        for (int t = 0; t < s.frames; t++) sum += std::exp((x[at(t)] - largest) * scale);
        const auto p = [&](int t) { return std::exp((x[at(t)] - largest) * scale) / sum; };
        for (int t = 0; t < s.frames; t++) {
          y[out] += p(t) * x[at(t)];
          y_size[out] += p(t) * std::fabs(x[at(t)]) * (1 + size);  // a rounding of x·scale is one of p
        }
        for (int t = 0; t < s.frames; t++) {
          dx[at(t)] = dy[out] * p(t) * (1 + (x[at(t)] - y[out]) * scale);
          dx_size[at(t)] = std::fabs(dy[out]) * p(t) * (1 + (std::fabs(x[at(t)]) + y_size[out]) * scale) * (1 + size);
        }
      }
  }
};

CUDA_TEST(temporal_softmax_is_the_reference) {
  Random random;
  for (const int outputs : class_counts)
    for (const int frames : {1, 2, 7, 16, 65}) {
      const TemporalSoftmaxShape s = {random.integer(1, 5), frames, outputs, stored_channels(outputs)};
      const Trace trace(std::to_string(s.n) + " clips, " + std::to_string(frames) + " frames, " + std::to_string(outputs) + " outputs");
      DeviceArray<float> x(logit_rows(random, s.n * frames, outputs, s.stored, 10)), dy(logit_rows(random, s.n, outputs, s.stored, 1024)),
          y(dy.size());
      DeviceArray<half> dx(x.size());
      OverTime want = {s, x.doubles(), dy.doubles(), {}, {}, {}, {}};
      want.run();
      for (int run = 0; run < 2; run++) {
        temporal_softmax_forward(s, x.data(), y.data(), nullptr);
        temporal_softmax_backward(s, x.data(), dy.data(), dx.data(), nullptr);
        expect_close(y.doubles(), want.y, {0x1p-24, static_cast<double>(frames)}, want.y_size);
        expect_close(dx.doubles(), want.dx, {0x1p-11, static_cast<double>(frames)}, want.dx_size);
      }
    }
}

CUDA_TEST(temporal_softmax_shows_nan) {
  const TemporalSoftmaxShape s = {2, 3, 2, 8};
  std::vector<float> values(2 * 3 * 8, 0.5f);
  values[1 * 8 + 1] = nan;  // clip 0, frame 1, output 1
  DeviceArray<float> x(values), dy(std::vector<float>(16, 1)), y(16);
  DeviceArray<half> dx(values.size());
  temporal_softmax_forward(s, x.data(), y.data(), nullptr);
  temporal_softmax_backward(s, x.data(), dy.data(), dx.data(), nullptr);
  const Doubles got = y.doubles(), gradient = dx.doubles();
  for (size_t i = 0; i < got.size(); i++) EXPECT(std::isnan(got[i]) == (i == 1));
  for (size_t i = 0; i < gradient.size(); i++) EXPECT(std::isnan(gradient[i]) == (i < 24 && i % 8 == 1));
}

CUDA_TEST(temporal_softmax_gradient_matches_finite_differences) {
  Random random;
  OverTime r = {
      {2, 5, 3, 8}, to_doubles(random_rows<float>(random, 10, 3, 8, 4)), to_doubles(random_rows<float>(random, 2, 3, 8)), {}, {}, {}, {}};
  r.run();
  const Doubles gradient = r.dx;
  expect_gradient("dx", r.x, gradient, [&] {
    r.run();
    return dot(r.y, r.dy);
  });
}

/** In f64: losses and gradients, times the loss scale. */
struct Losses {
  int n, classes, stored;
  bool multi_label;
  double smoothing, loss_scale;
  std::vector<int> labels;
  Doubles logits, losses, gradients, losses_size, gradients_size;

  void run() {
    for (auto* v : {&losses, &losses_size}) v->assign(static_cast<size_t>(n), 0);
    for (auto* v : {&gradients, &gradients_size}) v->assign(logits.size(), 0);
    for (int i = 0; i < n; i++) multi_label ? sigmoid(i) : softmax(i);
  }
  void softmax(int i) {
    const double* const z = logits.data() + i * stored;
    const double largest = *std::max_element(z, z + classes);
    double sum = 0;
    for (int k = 0; k < classes; k++) sum += std::exp(z[k] - largest);
    for (int k = 0; k < classes; k++) {
      const double q = (k == labels[static_cast<size_t>(i)] ? 1 - smoothing : 0) + smoothing / classes;
      const double log_p = z[k] - largest - std::log(sum);
      add(i, k, q == 0 ? 0 : -q * log_p / n, std::exp(log_p) - q, q, 1 + std::fabs(z[k] - largest), std::exp(log_p), n);
    }
  }
  void sigmoid(int i) {
    for (int k = 0; k < classes; k++) {
      const double z = logits[static_cast<size_t>(i * stored + k)], p = 1 / (1 + std::exp(-z));
      const double q = labels[static_cast<size_t>(i * classes + k)] * (1 - smoothing) + smoothing / 2;
      const double loss = (z > 0 ? z : 0) - q * z + std::log1p(std::exp(-std::fabs(z)));
      add(i, k, loss / (n * classes), p - q, 1, 1 + std::fabs(z), p, n * classes);
    }
  }
  void add(int i, int k, double loss, double gradient, double q, double size, double p, int count) {
    const size_t at = static_cast<size_t>(i * stored + k);
    losses[static_cast<size_t>(i)] += loss;
    losses_size[static_cast<size_t>(i)] += q * size / count * (1 + std::log(static_cast<double>(classes)));
    gradients[at] = gradient * loss_scale / count;
    gradients_size[at] = (p * size + q) * loss_scale / count;
  }
};

struct Case {
  int n, classes;
  bool multi_label;
  double smoothing, spread;
};

std::string text(const Case& c) {
  return std::to_string(c.n) + " clips, " + std::to_string(c.classes) + (c.multi_label ? " labels" : " classes") + ", smoothing " +
         std::to_string(c.smoothing) + ", logits up to " + std::to_string(c.spread);
}

Losses make(Random& random, const Case& c, const Doubles& logits, int stored) {
  Losses l = {c.n, c.classes, stored, c.multi_label, static_cast<double>(static_cast<float>(c.smoothing)), 1024, {}, logits, {},
              {},  {},        {}};
  for (int i = 0; i < (c.multi_label ? c.n * c.classes : c.n); i++)
    l.labels.push_back(random.integer(0, c.multi_label ? 1 : c.classes - 1));
  return l;
}

/** Runs the kernel, with gradients as halves and, another time, as floats. */
struct Result {
  DeviceArray<float> losses, gradients32;
  DeviceArray<half> gradients;

  Result(const Losses& l, DeviceArray<float>& logits)
      : losses(static_cast<size_t>(l.n)), gradients32(l.logits.size()), gradients(l.logits.size()) {
    DeviceArray<int> labels(l.labels);
    DeviceArray<float> scale(std::vector<float>{static_cast<float>(l.loss_scale)});
    LossArgs args = {
        l.n,          l.classes,     l.stored, l.multi_label,     logits.data(), labels.data(), static_cast<float>(l.smoothing),
        scale.data(), losses.data(), nullptr,  gradients32.data()};
    loss(args, nullptr);
    const std::vector<float> first = losses.read();
    args.dlogits = gradients.data();
    args.dlogits32 = nullptr;
    loss(args, nullptr);
    expect_same_bits(losses, first);
  }
};

CUDA_TEST(loss_is_the_reference) {
  Random random;
  for (const bool multi_label : {false, true})
    for (const int classes : class_counts)
      for (const double smoothing : {0.0, 0.1})
        for (const double spread : {3.0, 1000.0}) {
          const Case c = {random.integer(1, 17), classes, multi_label, smoothing, spread};
          const Trace trace(text(c));
          const int stored = stored_channels(classes);
          DeviceArray<float> logits(logit_rows(random, c.n, classes, stored, spread));
          Losses want = make(random, c, logits.doubles(), stored);
          want.run();
          Result got(want, logits);
          const double terms = classes / 128.0 + 16;
          expect_close(got.losses.doubles(), want.losses, {0x1p-24, terms, 0, 1e-9}, want.losses_size);
          expect_close(got.gradients32.doubles(), want.gradients, {0x1p-24, terms, 0, 1e-9}, want.gradients_size);
          expect_close(got.gradients.doubles(), want.gradients, {0x1p-11, terms}, want.gradients_size);
        }
}

CUDA_TEST(loss_shows_what_is_not_finite) {
  Random random;
  for (const bool multi_label : {false, true})
    for (const float value : {nan, infinity}) {
      const Case c = {3, 150, multi_label, 0.0, 3};
      const Trace trace(text(c));
      std::vector<float> values = logit_rows(random, c.n, c.classes, 152, c.spread);
      values[152 + 140] = value;
      DeviceArray<float> logits(values);
      Losses l = make(random, c, logits.doubles(), 152);
      if (multi_label) l.labels[150 + 140] = 1;  // for 0 the loss of an infinite logit is infinite
      Result got(l, logits);
      const Doubles losses = got.losses.doubles(), gradients = got.gradients.doubles();
      for (size_t i = 0; i < losses.size(); i++) EXPECT(std::isnan(losses[i]) == (i == 1));
      for (size_t i = 0; i < gradients.size(); i++) {
        const bool wanted = multi_label ? std::isnan(value) && i == 152 + 140 : i / 152 == 1 && i % 152 < 150;
        EXPECT(std::isnan(gradients[i]) == wanted);
      }
    }
}

CUDA_TEST(loss_gradients_match_finite_differences) {
  Random random;
  for (const bool multi_label : {false, true}) {
    const Case c = {3, 5, multi_label, 0.1, 3};
    const Trace trace(text(c));
    Losses l = make(random, c, to_doubles(random_rows<float>(random, 3, 5, 8, 3)), 8);
    l.loss_scale = 1;
    l.run();
    const Doubles gradients = l.gradients;
    expect_gradient("dlogits", l.logits, gradients, [&] {
      l.run();
      return l.losses[0] + l.losses[1] + l.losses[2];
    });
  }
}

}  // namespace
}  // namespace tvn::cuda
