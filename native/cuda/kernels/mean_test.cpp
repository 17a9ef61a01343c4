#include "cuda/kernels/mean.h"

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

/** Calls f(shape, channels that are there). */
template <class F>
void for_each_shape(const F& f) {
  const auto run = [&](int groups, int count, int channels) {
    const Trace trace(std::to_string(groups) + " groups of " + std::to_string(count) + " rows, " + std::to_string(channels) + " channels");
    f(MeanShape{groups, count, stored_channels(channels)}, channels);
  };
  for (const int channels : hostile_channels)
    for (const int count : {1, 2, 3, 13, 63, 64, 65, 300}) run(1 + count % 3, count, channels);
  run(2, 2500, 65);  // several parts and blocks of channels
  run(1, 4200, 24);
  run(0, 3, 8);
}

size_t index(const MeanShape& s, int group, int row, int channel) {
  return static_cast<size_t>((group * s.count + row) * s.channels + channel);
}

CUDA_TEST(mean_forward_is_the_reference) {
  Random random;
  int in_parts = 0, number = 0;
  for_each_shape([&](const MeanShape& s, int channels) {
    std::vector<half> values = random_rows<half>(random, static_cast<size_t>(s.groups * s.count), channels, s.channels, 1, 2);
    if (number++ % 4 == 0 && !values.empty()) values[0] = __float2half(std::numeric_limits<float>::quiet_NaN());
    Doubles want(static_cast<size_t>(s.groups * s.channels)), size(want.size());
    for (size_t i = 0; i < want.size(); i++) {
      const int group = static_cast<int>(i) / s.channels, channel = static_cast<int>(i) % s.channels;
      for (int row = 0; row < s.count; row++) {
        const double value = static_cast<double>(to_float(values[index(s, group, row, channel)])) / s.count;
        want[i] += value, size[i] += std::fabs(value);
      }
    }
    const size_t bytes = mean_workspace(s);
    in_parts += bytes > 0;
    DeviceArray<half> x(values), y(want.size());
    DeviceArray<float> y32(want.size()), workspace(bytes / sizeof(float));
    mean_forward(s, {x.data(), y.data(), nullptr, workspace.data()}, nullptr);
    const std::vector<half> first = y.read();
    expect_close(y.doubles(), want, {0x1p-11, static_cast<double>(s.count)}, size);
    mean_forward(s, {x.data(), y.data(), nullptr, workspace.data()}, nullptr);
    expect_same_bits(y, first);
    mean_forward(s, {x.data(), nullptr, y32.data(), workspace.data()}, nullptr);
    expect_close(y32.doubles(), want, {0x1p-24, static_cast<double>(s.count), 0, 1e-30}, size);
  });
  EXPECT(in_parts == 2);
}

CUDA_TEST(mean_backward_is_the_reference) {
  Random random;
  for_each_shape([&](const MeanShape& s, int channels) {
    const std::vector<half> gradients = random_rows<half>(random, static_cast<size_t>(s.groups), channels, s.channels, 4);
    const std::vector<half> before = random_rows<half>(random, static_cast<size_t>(s.groups * s.count), channels, s.channels);
    for (const bool accumulate : {false, true}) {
      Doubles want(before.size()), size(before.size());
      for (int group = 0; group < s.groups; group++)
        for (int row = 0; row < s.count; row++)
          for (int channel = 0; channel < s.channels; channel++) {
            const size_t i = index(s, group, row, channel);
            const double was = accumulate ? static_cast<double>(to_float(before[i])) : 0;
            const double d = static_cast<double>(to_float(gradients[static_cast<size_t>(group * s.channels + channel)])) / s.count;
            want[i] = was + d, size[i] = std::fabs(was) + std::fabs(d);
          }
      DeviceArray<half> dy(gradients), dx(before);
      mean_backward(s, {dy.data(), accumulate, dx.data()}, nullptr);
      expect_close(dx.doubles(), want, {0x1p-11, 2}, size);
    }
  });
}

}  // namespace
}  // namespace tvn::cuda
