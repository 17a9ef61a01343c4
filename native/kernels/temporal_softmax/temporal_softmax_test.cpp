#include "kernels/temporal_softmax/temporal_softmax.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/temporal_softmax/temporal_softmax_reference.h"
#include "test/gradient.h"
#include "test/kernels.h"
#include "test/random.h"
#include "test/tolerance.h"

namespace tvn {
namespace {

using namespace test;

TEST(TemporalSoftmax, EveryKernelIsTheReference) {
  Random random;
  for_each_thread_count([&](ThreadPool& pool) {
    for (const TemporalSoftmaxShape& s : {TemporalSoftmaxShape{1, 1, 1}, {3, 2, 5}, {2, 7, 17}, {5, 13, 157}}) {
      SCOPED_TRACE(testing::Message() << s.n << " × " << s.frames << " × " << s.outputs);
      const GuardedBuffer<float> x = random.buffer(s.n * s.frames * s.outputs, 1, 5), dy = random.buffer(s.n * s.outputs, 2);
      std::vector<double> want_y(dy.size()), want_dx(x.size());
      reference::temporal_softmax_forward(s, to_double(x).data(), want_y.data());
      reference::temporal_softmax_backward(s, to_double(x).data(), to_double(dy).data(), want_dx.data());
      for_each_kernel(temporal_softmax_forward_kernels(), [&](const Kernel<TemporalSoftmaxForward>& kernel) {
        GuardedBuffer<float> y(s.n * s.outputs, 1);
        kernel.run(s, {x.data(), y.data()}, pool);
        expect_close(y, want_y, {});
      });
      for_each_kernel(temporal_softmax_backward_kernels(), [&](const Kernel<TemporalSoftmaxBackward>& kernel) {
        GuardedBuffer<float> dx(s.n * s.frames * s.outputs, 1);
        kernel.run(s, {x.data(), dy.data(), dx.data()}, pool);
        expect_close(dx, want_dx, {});
      });
    }
  });
}

// Four frames, so the softmax is of x/2: weights 1, 1, 1, e^½ of Σ = 3 + e^½; y = e^½ / (3 + e^½).
TEST(TemporalSoftmax, FollowsTheFormula) {
  const double x[] = {0, 0, 0, 1};
  double y = 0;
  reference::temporal_softmax_forward({1, 4, 1}, x, &y);
  EXPECT_NEAR(y, std::exp(0.5) / (3 + std::exp(0.5)), 1e-15);
}

TEST(TemporalSoftmax, HugeValuesDoNotOverflowAndNanSurvives) {
  const float huge[] = {1e4f, -1e4f, 9999};
  float y = 0;
  reference::temporal_softmax_forward({1, 3, 1}, huge, &y);
  const double e = std::exp(-1 / std::sqrt(3.0));
  EXPECT_NEAR(y, (1e4 + 9999 * e) / (1 + e), 1e-2);
  for (const size_t at : {0, 1, 2}) {
    float x[] = {1, 2, 3}, dx[3] = {};
    x[at] = std::numeric_limits<float>::quiet_NaN();
    const float dy = 1;
    reference::temporal_softmax_forward({1, 3, 1}, x, &y);
    EXPECT_TRUE(std::isnan(y)) << at;
    reference::temporal_softmax_backward({1, 3, 1}, x, &dy, dx);
    for (const float value : dx) EXPECT_TRUE(std::isnan(value)) << at;
  }
}

TEST(TemporalSoftmax, GradientIsTheFiniteDifference) {
  Random random;
  const TemporalSoftmaxShape s{2, 5, 3};
  std::vector<double> x(30), dx(30), y(6), dy(6);
  random.fill<double>(x, 3);
  random.fill<double>(dy);
  reference::temporal_softmax_backward(s, x.data(), dy.data(), dx.data());
  expect_gradient("dx", x, dx, [&] {
    reference::temporal_softmax_forward(s, x.data(), y.data());
    return dot(y, dy);
  });
}

}  // namespace
}  // namespace tvn
