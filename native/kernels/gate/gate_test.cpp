#include "kernels/gate/gate.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/gate/gate_reference.h"
#include "test/gradient.h"
#include "test/kernels.h"
#include "test/random.h"
#include "test/sizes.h"
#include "test/tolerance.h"

namespace tvn {
namespace {

using namespace test;

std::vector<GateShape> shapes() {
  std::vector<GateShape> all = {{16, 1152, 24}, {3, 5003, 8}, {2, 100, 2049}};
  for (const int64_t channels : hostile_channels)
    for (const int64_t positions : hostile_rows) all.push_back({3, positions, channels});
  return all;
}

TEST(Gate, ForwardIsTheReferenceAndMayOverwriteX) {
  Random random;
  for_each_kernel(gate_forward_kernels(), [&](const Kernel<GateForward>& kernel) {
    ThreadPool pool(1);
    for (const GateShape& s : shapes()) {
      SCOPED_TRACE(testing::Message() << s.n << " × " << s.positions << " × " << s.channels);
      GuardedBuffer<float> x = random.buffer(s.n * s.positions * s.channels, 1), y(s.n * s.positions * s.channels, 2);
      const GuardedBuffer<float> z = random.buffer(s.n * s.channels, 3, 4);
      std::vector<double> want(y.size());
      reference::gate_forward(s, to_double(x).data(), to_double(z).data(), want.data());
      kernel.run(s, {x.data(), z.data(), y.data()}, pool);
      expect_close(y, want, {});
      kernel.run(s, {x.data(), z.data(), x.data()}, pool);
      expect_same_bits(x, y);
    }
  });
}

TEST(Gate, BackwardIsTheReferenceAndMayOverwriteDy) {
  Random random;
  ThreadPool pool(1);
  for_each_kernel(gate_backward_kernels(), [&](const Kernel<GateBackward>& kernel) {
    for (const GateShape& s : shapes())
      for (const bool accumulate : {false, true}) {
        SCOPED_TRACE(testing::Message() << s.n << " × " << s.positions << " × " << s.channels << ", accumulate " << accumulate);
        const int64_t size = s.n * s.positions * s.channels;
        const GuardedBuffer<float> x = random.buffer(size, 1), z = random.buffer(s.n * s.channels, 3, 4);
        GuardedBuffer<float> dy = random.buffer(size, 2), dx = random.buffer(size, 1), dz(s.n * s.channels, 2);
        std::vector<double> want_dx = to_double(dx), want_dz(dz.size());
        reference::gate_backward(s, to_double(x).data(), to_double(z).data(), to_double(dy).data(), accumulate, want_dx.data(),
                                 want_dz.data());
        kernel.run(s, {x.data(), z.data(), dy.data(), accumulate, dx.data(), dz.data()}, pool);
        expect_close(dx, want_dx, {});
        expect_close(dz, want_dz, {.terms = static_cast<double>(s.positions)});
        if (accumulate) continue;
        kernel.run(s, {x.data(), z.data(), dy.data(), false, dy.data(), dz.data()}, pool);
        expect_same_bits(dy, dx);
      }
  });
}

TEST(Gate, ThreadsDoNotChangeBits) {
  Random random;
  for (const GateShape& s : {GateShape{5, 1009, 24}, {1, 4001, 8}, {3, 67, 1025}}) {
    const int64_t size = s.n * s.positions * s.channels;
    const GuardedBuffer<float> x = random.buffer(size), z = random.buffer(s.n * s.channels), dy = random.buffer(size);
    for_each_kernel(gate_forward_kernels(), [&](const Kernel<GateForward>& kernel) {
      std::vector<float> first;
      for_each_thread_count([&](ThreadPool& pool) {
        std::vector<float> y(x.size());
        kernel.run(s, {x.data(), z.data(), y.data()}, pool);
        if (first.empty()) first = y;
        expect_same_bits(y, first);
      });
    });
    for_each_kernel(gate_backward_kernels(), [&](const Kernel<GateBackward>& kernel) {
      std::vector<float> first;
      for_each_thread_count([&](ThreadPool& pool) {
        std::vector<float> dx(x.size()), dz(z.size());
        kernel.run(s, {x.data(), z.data(), dy.data(), false, dx.data(), dz.data()}, pool);
        dx.insert(dx.end(), dz.begin(), dz.end());
        if (first.empty()) first = dx;
        expect_same_bits(dx, first);
      });
    });
  }
}

TEST(Gate, NanSurvives) {
  ThreadPool pool(1);
  const GateShape s{1, 19, 7};
  const std::vector<float> x(133, 1.0f), nans(133, std::numeric_limits<float>::quiet_NaN());
  std::vector<float> y(133), dx(133), dz(7);
  const auto expect_nan = [](const std::vector<float>& values) {
    for (const float value : values) EXPECT_TRUE(std::isnan(value));
  };
  for_each_kernel(gate_forward_kernels(), [&](const Kernel<GateForward>& kernel) {
    kernel.run(s, {nans.data(), x.data(), y.data()}, pool);
    expect_nan(y);
    kernel.run(s, {x.data(), nans.data(), y.data()}, pool);
    expect_nan(y);
  });
  for_each_kernel(gate_backward_kernels(), [&](const Kernel<GateBackward>& kernel) {
    kernel.run(s, {x.data(), x.data(), nans.data(), false, dx.data(), dz.data()}, pool);
    expect_nan(dx);
    expect_nan(dz);
  });
}

TEST(Gate, GradientsAreTheFiniteDifferences) {
  Random random;
  const GateShape s{2, 7, 3};
  std::vector<double> x(42), y(42), dy(42), dx(42), z(6), dz(6);
  random.fill<double>(x);
  random.fill<double>(z, 3);
  random.fill<double>(dy);
  const auto loss = [&] {
    reference::gate_forward(s, x.data(), z.data(), y.data());
    return dot(y, dy);
  };
  reference::gate_backward(s, x.data(), z.data(), dy.data(), false, dx.data(), dz.data());
  expect_gradient("dx", x, dx, loss);
  expect_gradient("dz", z, dz, loss);
}

}  // namespace
}  // namespace tvn
