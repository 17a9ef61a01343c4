#include "kernels/mean/mean.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/mean/mean_reference.h"
#include "test/gradient.h"
#include "test/kernels.h"
#include "test/random.h"
#include "test/sizes.h"
#include "test/tolerance.h"

namespace tvn {
namespace {

using namespace test;

std::vector<MeanShape> shapes() {
  std::vector<MeanShape> all = {{16, 2304, 24}, {3, 5003, 8}, {2, 100, 2049}};
  for (const int64_t channels : hostile_channels)
    for (const int64_t count : hostile_rows) all.push_back({3, count, channels});
  return all;
}

TEST(Mean, ForwardIsTheReference) {
  Random random;
  ThreadPool pool(1);
  for_each_kernel(mean_forward_kernels(), [&](const Kernel<MeanForward>& kernel) {
    for (const MeanShape& s : shapes()) {
      SCOPED_TRACE(testing::Message() << s.groups << " × " << s.count << " × " << s.channels);
      const GuardedBuffer<float> x = random.buffer(s.groups * s.count * s.channels, 1, 2, 0.5);
      GuardedBuffer<float> y(s.groups * s.channels, 2);
      std::vector<double> want(y.size());
      reference::mean_forward(s, to_double(x).data(), want.data());
      kernel.run(s, {x.data(), y.data()}, pool);
      expect_close(y, want, {.terms = static_cast<double>(s.count)});  // roundings grow with the sum, which is n means
    }
  });
}

TEST(Mean, BackwardIsTheReference) {
  Random random;
  ThreadPool pool(1);
  for_each_kernel(mean_backward_kernels(), [&](const Kernel<MeanBackward>& kernel) {
    for (const MeanShape& s : shapes())
      for (const bool accumulate : {false, true}) {
        SCOPED_TRACE(testing::Message() << s.groups << " × " << s.count << " × " << s.channels << ", accumulate " << accumulate);
        const GuardedBuffer<float> dy = random.buffer(s.groups * s.channels, 1, static_cast<double>(s.count));
        GuardedBuffer<float> dx = random.buffer(s.groups * s.count * s.channels, 2);
        std::vector<double> want = to_double(dx);
        reference::mean_backward(s, to_double(dy).data(), accumulate, want.data());
        kernel.run(s, {dy.data(), accumulate, dx.data()}, pool);
        expect_close(dx, want, {});
      }
  });
}

TEST(Mean, ThreadsDoNotChangeBits) {
  Random random;
  const MeanShape s{5, 1009, 300};
  const GuardedBuffer<float> x = random.buffer(s.groups * s.count * s.channels), dy = random.buffer(s.groups * s.channels);
  for_each_kernel(mean_forward_kernels(), [&](const Kernel<MeanForward>& kernel) {
    std::vector<float> first;
    for_each_thread_count([&](ThreadPool& pool) {
      std::vector<float> y(dy.size());
      kernel.run(s, {x.data(), y.data()}, pool);
      if (first.empty()) first = y;
      expect_same_bits(y, first);
    });
  });
  for_each_kernel(mean_backward_kernels(), [&](const Kernel<MeanBackward>& kernel) {
    std::vector<float> first;
    for_each_thread_count([&](ThreadPool& pool) {
      std::vector<float> dx(x.begin(), x.end());
      kernel.run(s, {dy.data(), true, dx.data()}, pool);
      if (first.empty()) first = dx;
      expect_same_bits(dx, first);
    });
  });
}

TEST(Mean, NanStaysInItsGroupAndChannel) {
  ThreadPool pool(1);
  const MeanShape s{2, 67, 5};
  for_each_kernel(mean_forward_kernels(), [&](const Kernel<MeanForward>& kernel) {
    std::vector<float> x(2 * 67 * 5, 1.0f), y(10);
    x[67 * 5 + 40 * 5 + 3] = std::numeric_limits<float>::quiet_NaN();
    kernel.run(s, {x.data(), y.data()}, pool);
    for (size_t i = 0; i < y.size(); i++) EXPECT_EQ(std::isnan(y[i]), i == 8) << i;
  });
}

TEST(Mean, GradientIsTheFiniteDifference) {
  Random random;
  const MeanShape s{2, 7, 3};
  std::vector<double> x(42), dx(42), y(6), dy(6);
  random.fill<double>(x);
  random.fill<double>(dy);
  reference::mean_backward(s, dy.data(), false, dx.data());
  expect_gradient("dx", x, dx, [&] {
    reference::mean_forward(s, x.data(), y.data());
    return dot(y, dy);
  });
}

}  // namespace
}  // namespace tvn
