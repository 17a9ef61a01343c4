#include "cuda/kernels/depthwise.h"

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "cuda/test/compare.h"
#include "cuda/test/test.h"
#include "cuda/test/windows.h"

namespace tvn::cuda {
namespace {

using namespace test;
using Doubles = std::vector<double>;

DepthwiseShape shape_of(const WindowCase& c) { return {c.x, c.y, c.window}; }

/** Random cases, then those that no draw may miss. */
std::vector<WindowCase> cases(Random& random, int count) {
  std::vector<WindowCase> all;
  for (int i = 0; i < count; i++) {
    const Int3 map{random.integer(1, 2), any_of(random, hostile_lengths), any_of(random, hostile_lengths)};
    const Int3 kernel{1, random.integer(1, 7), random.integer(1, 7)}, stride{1, random.integer(1, 4), random.integer(1, 4)};
    all.emplace_back(map, random.integer(1, 3), any_of(random, hostile_channels), kernel, stride, random.integer(0, 3) > 0);
  }
  for (int kw = 1; kw <= 7; kw++)
    for (int sw = 1; sw <= 4; sw++) all.emplace_back(Int3{1, 3, 13}, 1, 9, Int3{1, 2, kw}, Int3{1, 1 + kw % 2, sw}, kw % 3 > 0);
  for (const int channels : hostile_channels) all.emplace_back(Int3{2, 5, 8}, 1, channels, Int3{1, 3, 3}, Int3{1, 1, 1}, true);
  all.emplace_back(Int3{1, 2, 3}, 2, 16, Int3{1, 7, 7}, Int3{1, 1, 1}, true);    // kernel larger than the map
  all.emplace_back(Int3{1, 2, 3}, 2, 16, Int3{1, 3, 3}, Int3{1, 1, 1}, false);   // no output
  all.emplace_back(Int3{1, 1, 13}, 1, 8, Int3{1, 1, 11}, Int3{1, 1, 1}, true);   // more taps than any kernel is unrolled for
  all.emplace_back(Int3{4, 13, 29}, 3, 3, Int3{1, 3, 3}, Int3{1, 1, 1}, true);   // several parts
  all.emplace_back(Int3{3, 13, 13}, 2, 65, Int3{1, 3, 5}, Int3{1, 2, 2}, true);  // several blocks of channels
  return all;
}

/** In f64: y before its function, dx and dw, and the sums of absolute values that bound their errors. */
struct Reference {
  Doubles y, dx, dw, y_size, dx_size, dw_size;

  Reference(const WindowCase& c, const Doubles& x, const Doubles& w, const Doubles& bias, const Doubles& dy, const Doubles& dx_before)
      : y(c.y.size()), dx(dx_before), dw(w.size()), y_size(c.y.size()), dx_size(dx_before), dw_size(w.size()) {
    const auto channels = static_cast<size_t>(c.x.c);
    for (size_t i = 0; i < y.size(); i++) y_size[i] = std::fabs(y[i] = bias.empty() ? 0 : bias[i % channels]);
    for (double& size : dx_size) size = std::fabs(size);
    c.for_each_pair([&](size_t ix, size_t iy, int tap, int channel) {
      const size_t iw = static_cast<size_t>(tap) * channels + static_cast<size_t>(channel);
      y[iy] += x[ix] * w[iw], y_size[iy] += std::fabs(x[ix] * w[iw]);
      dx[ix] += dy[iy] * w[iw], dx_size[ix] += std::fabs(dy[iy] * w[iw]);
      dw[iw] += dy[iy] * x[ix], dw_size[iw] += std::fabs(dy[iy] * x[ix]);
    });
  }
};

struct Data {
  std::vector<half> x, w, dy, dx;
  std::vector<float> bias;

  Data(Random& random, const WindowCase& c) : x(c.random_x(random)), dy(c.random_y(random)), dx(c.random_x(random)) {
    w = random_rows<half>(random, static_cast<size_t>(taps(c.window)), c.channels, c.x.c);
    bias = random_rows<float>(random, 1, c.channels, c.x.c);
  }
  Reference reference(const WindowCase& c, bool biased, bool accumulate) const {
    return {c,
            to_doubles(x),
            to_doubles(w),
            biased ? to_doubles(bias) : Doubles(),
            to_doubles(dy),
            accumulate ? to_doubles(dx) : Doubles(dx.size())};
  }
};

CUDA_TEST(depthwise_forward_is_the_reference) {
  Random random;
  int number = 0;
  for (const WindowCase& c : cases(random, 120)) {
    const Trace trace(c.describe());
    Data data(random, c);
    const Function function = static_cast<Function>(number % 3);  // sigmoid would not keep the padding zero
    const bool biased = number++ % 2;
    if (number % 4 == 0) data.x[0] = __float2half(std::numeric_limits<float>::quiet_NaN());  // is seen by its windows alone
    Reference want = data.reference(c, biased, false);
    for (double& y : want.y) y = reference(function, y);
    for (double& size : want.y_size) size *= 1.5;  // the largest slope of hswish

    DeviceArray<half> x(data.x), w(data.w), y(c.y.size());
    DeviceArray<float> bias(data.bias);
    std::vector<half> first;
    for (int run = 0; run < 2; run++) {
      depthwise_forward(shape_of(c), {x.data(), w.data(), biased ? bias.data() : nullptr, function, y.data()}, nullptr);
      if (run > 0) expect_same_bits(y, first);
      first = y.read();
    }
    expect_close(y.doubles(), want.y, {0x1p-11, static_cast<double>(taps(c.window) + 1)}, want.y_size);
  }
}

CUDA_TEST(depthwise_data_gradient_is_the_reference) {
  Random random;
  int number = 0;
  for (const WindowCase& c : cases(random, 120)) {
    const Trace trace(c.describe());
    Data data(random, c);
    const bool accumulate = number++ % 2;
    if (number % 4 == 0 && !data.dy.empty()) data.dy[0] = __float2half(std::numeric_limits<float>::quiet_NaN());
    const Reference want = data.reference(c, false, accumulate);

    DeviceArray<half> dy(data.dy), w(data.w);
    std::vector<half> first;
    for (int run = 0; run < 2; run++) {
      DeviceArray<half> dx(data.dx);
      depthwise_data_gradient(shape_of(c), {dy.data(), w.data(), accumulate, dx.data()}, nullptr);
      if (run > 0) {
        expect_same_bits(dx, first);
        expect_close(dx.doubles(), want.dx, {0x1p-11, static_cast<double>(taps(c.window) + 1)}, want.dx_size);
      }
      first = dx.read();
    }
  }
}

/** What no window meets becomes NaN: nothing may come of it. */
void hide_what_is_not_met(const WindowCase& c, std::vector<half>& x) {
  std::vector<half> hidden(x.size(), __float2half(std::numeric_limits<float>::quiet_NaN()));
  c.for_each_pair([&](size_t ix, size_t, int, int) { hidden[ix] = x[ix]; });
  x = hidden;
}

CUDA_TEST(depthwise_weight_gradient_is_the_reference) {
  Random random;
  int in_parts = 0;
  for (const WindowCase& c : cases(random, 120)) {
    const Trace trace(c.describe());
    Data data(random, c);
    hide_what_is_not_met(c, data.x);
    const Reference want = data.reference(c, false, false);

    const size_t bytes = depthwise_weight_gradient_workspace(shape_of(c));
    in_parts += bytes > 0;
    DeviceArray<half> x(data.x), dy(data.dy);
    DeviceArray<float> dw(data.w.size()), workspace(bytes / sizeof(float));
    std::vector<float> first;
    for (int run = 0; run < 2; run++) {
      depthwise_weight_gradient(shape_of(c), {x.data(), dy.data(), dw.data(), workspace.data()}, nullptr);
      if (run > 0) expect_same_bits(dw, first);
      first = dw.read();
    }
    expect_close(dw.doubles(), want.dw, {0x1p-24, static_cast<double>(c.y.rows()), 0, 1e-30}, want.dw_size);
  }
  EXPECT(in_parts > 1);
}

/** ⟨y(x, w), dy⟩ = ⟨x, dx(dy, w)⟩ = ⟨w, dw(x, dy)⟩: the gradients are those of what forward computes. */
CUDA_TEST(depthwise_references_are_adjoint) {
  Random random;
  for (const WindowCase& c : cases(random, 120)) {
    const Trace trace(c.describe());
    const Data data(random, c);
    const Reference r = data.reference(c, false, false);
    const double forward = dot(r.y, to_doubles(data.dy));
    EXPECT(std::fabs(forward - dot(to_doubles(data.x), r.dx)) < 1e-9 * (1 + std::fabs(forward)));
    EXPECT(std::fabs(forward - dot(to_doubles(data.w), r.dw)) < 1e-9 * (1 + std::fabs(forward)));
  }
}

}  // namespace
}  // namespace tvn::cuda
