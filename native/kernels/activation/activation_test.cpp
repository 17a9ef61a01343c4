#include "kernels/activation/activation.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "kernels/activation/activation_reference.h"
#include "test/gradient.h"
#include "test/kernels.h"
#include "test/random.h"
#include "test/sizes.h"
#include "test/tolerance.h"

namespace tvn {
namespace {

using namespace test;

constexpr Function functions[] = {Function::none, Function::relu, Function::hswish, Function::sigmoid};
constexpr float nan_value = std::numeric_limits<float>::quiet_NaN();

TEST(Activation, ForwardIsTheReference) {
  Random random;
  ThreadPool pool(1);
  for_each_kernel(activation_forward_kernels(), [&](const Kernel<ActivationForward>& kernel) {
    for (const Function function : functions)
      for (const int64_t size : hostile_sizes)
        for (const size_t misalign : hostile_misalignments) {
          SCOPED_TRACE(testing::Message() << "function " << static_cast<int>(function) << ", size " << size << ", misalign " << misalign);
          GuardedBuffer<float> x = random.buffer(size, misalign, 6), y(size, misalign);
          std::vector<double> want = to_double(x);
          reference::activation_forward(size, function, want.data(), want.data());
          kernel.run(size, {function, x.data(), y.data()}, pool);
          expect_close(y, want, {});
          kernel.run(size, {function, x.data(), x.data()}, pool);
          expect_same_bits(x, y);
        }
  });
}

TEST(Activation, BackwardIsTheReference) {
  Random random;
  ThreadPool pool(1);
  for_each_kernel(activation_backward_kernels(), [&](const Kernel<ActivationBackward>& kernel) {
    for (const Function function : functions)
      for (const bool accumulate : {false, true})
        for (const int64_t size : hostile_sizes) {
          SCOPED_TRACE(testing::Message() << "function " << static_cast<int>(function) << ", size " << size << ", accumulate "
                                          << accumulate);
          const GuardedBuffer<float> x = random.buffer(size, 1, 6), dy = random.buffer(size, 2);
          GuardedBuffer<float> y(size), dx = random.buffer(size, 3);
          reference::activation_forward(size, function, x.data(), y.data());
          std::vector<double> want = to_double(dx);
          reference::activation_backward(size, function, to_double(x).data(), to_double(y).data(), to_double(dy).data(), accumulate,
                                         want.data());
          const bool needs_x = function == Function::hswish, needs_y = function == Function::relu || function == Function::sigmoid;
          kernel.run(size, {function, needs_x ? x.data() : nullptr, needs_y ? y.data() : nullptr, dy.data(), accumulate, dx.data()}, pool);
          expect_close(dx, want, {});
        }
  });
}

TEST(Activation, GradientMayReplaceDy) {
  Random random;
  ThreadPool pool(2);
  for_each_kernel(activation_backward_kernels(), [&](const Kernel<ActivationBackward>& kernel) {
    for (const Function function : functions) {
      const GuardedBuffer<float> x = random.buffer(1009, 0, 6);
      GuardedBuffer<float> y(1009), dy = random.buffer(1009), dx(1009);
      reference::activation_forward(1009, function, x.data(), y.data());
      kernel.run(1009, {function, x.data(), y.data(), dy.data(), false, dx.data()}, pool);
      kernel.run(1009, {function, x.data(), y.data(), dy.data(), false, dy.data()}, pool);
      expect_same_bits(dy, dx);
    }
  });
}

TEST(Activation, ThreadsDoNotChangeBits) {
  Random random;
  constexpr int64_t size = 100003;
  const GuardedBuffer<float> x = random.buffer(size, 0, 6);
  for_each_kernel(activation_forward_kernels(), [&](const Kernel<ActivationForward>& kernel) {
    GuardedBuffer<float> first(size);
    ThreadPool one(1);
    kernel.run(size, {Function::sigmoid, x.data(), first.data()}, one);
    for_each_thread_count([&](ThreadPool& pool) {
      GuardedBuffer<float> y(size);
      kernel.run(size, {Function::sigmoid, x.data(), y.data()}, pool);
      expect_same_bits(y, first);
    });
  });
}

TEST(Activation, NanSurvives) {
  ThreadPool pool(1);
  constexpr int64_t size = 37;  // whole vectors and a partial one
  for (const Function function : functions) {
    SCOPED_TRACE(static_cast<int>(function));
    std::vector<float> x(size, 1.0f), nans(size, nan_value), y(size);
    for_each_kernel(activation_forward_kernels(), [&](const Kernel<ActivationForward>& kernel) {
      kernel.run(size, {function, nans.data(), y.data()}, pool);
      for (const float value : y) EXPECT_TRUE(std::isnan(value));
    });
    for_each_kernel(activation_backward_kernels(), [&](const Kernel<ActivationBackward>& kernel) {
      kernel.run(size, {function, x.data(), x.data(), nans.data(), false, y.data()}, pool);
      for (const float value : y) EXPECT_TRUE(std::isnan(value)) << "of dy";
      if (function == Function::none) return;
      kernel.run(size, {function, nans.data(), nans.data(), x.data(), false, y.data()}, pool);
      for (const float value : y) EXPECT_TRUE(std::isnan(value)) << "of the input";
    });
  }
}

TEST(Activation, CornersAndLargeValues) {
  ThreadPool pool(1);
  const std::vector<float> x = {0, -0.0f, -3, 3, 1e30f, -1e30f, 100, -100, 1e-30f, -1e-30f};
  const int64_t size = static_cast<int64_t>(x.size());
  for (const Function function : functions) {
    SCOPED_TRACE(static_cast<int>(function));
    std::vector<double> want(x.size()), slope(x.size());
    reference::activation_forward(size, function, to_double(x).data(), want.data());
    const std::vector<double> ones(x.size(), 1);
    reference::activation_backward(size, function, to_double(x).data(), want.data(), ones.data(), false, slope.data());
    for_each_kernel(activation_forward_kernels(), [&](const Kernel<ActivationForward>& kernel) {
      std::vector<float> y(x.size());
      kernel.run(size, {function, x.data(), y.data()}, pool);
      expect_close(y, want, {});
    });
    for_each_kernel(activation_backward_kernels(), [&](const Kernel<ActivationBackward>& kernel) {
      const std::vector<float> y(want.begin(), want.end()), dy(x.size(), 1.0f);
      std::vector<float> dx(x.size());
      kernel.run(size, {function, x.data(), y.data(), dy.data(), false, dx.data()}, pool);
      expect_close(dx, slope, {});
    });
  }
}

TEST(Activation, GradientIsTheFiniteDifference) {
  Random random;
  constexpr int64_t size = 101;
  for (const Function function : functions) {
    SCOPED_TRACE(static_cast<int>(function));
    std::vector<double> x(size), y(size), dy(size), dx(size);
    random.fill<double>(x, 6);
    random.fill<double>(dy);
    for (const double corner : {-3.0, 0.0, 3.0}) avoid_corner(x, corner);
    const auto loss = [&] {
      reference::activation_forward(size, function, x.data(), y.data());
      return dot(y, dy);
    };
    loss();
    reference::activation_backward(size, function, x.data(), y.data(), dy.data(), false, dx.data());
    expect_gradient("dx", x, dx, loss);
  }
}

}  // namespace
}  // namespace tvn
