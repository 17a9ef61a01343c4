#include "kernels/sum/sum.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/sum/sum_reference.h"
#include "test/kernels.h"
#include "test/random.h"
#include "test/sizes.h"
#include "test/tolerance.h"

namespace tvn {
namespace {

using namespace test;

std::vector<SumShape> shapes() {
  std::vector<SumShape> all = {{1, 100003, 1}, {1, 70001, 24}, {3, 4097, 1}, {2, 300, 513}, {7, 1, 1000}};
  for (const int64_t inner : hostile_channels)
    for (const int64_t count : hostile_rows) all.push_back({3, count, inner});
  return all;
}

TEST(Sum, IsTheReference) {
  Random random;
  ThreadPool pool(1);
  for_each_kernel(sum_kernels(), [&](const Kernel<SumKernel>& kernel) {
    for (const SumShape& s : shapes()) {
      SCOPED_TRACE(testing::Message() << s.outer << " × " << s.count << " × " << s.inner);
      const GuardedBuffer<float> x = random.buffer(s.outer * s.count * s.inner, 1, 2, 0.5);
      GuardedBuffer<float> y(s.outer * s.inner, 2), scratch(static_cast<int64_t>(sum_scratch(s)));
      std::vector<double> want(y.size());
      reference::sum(s, to_double(x).data(), 0.25, want.data());
      kernel.run(s, {x.data(), 0.25f, y.data(), scratch.data()}, pool);
      expect_close(y, want, {.terms = static_cast<double>(s.count)});
    }
  });
}

TEST(Sum, ThreadsDoNotChangeBits) {
  Random random;
  for (const SumShape& s : {SumShape{2, 9001, 33}, SumShape{3, 50000, 1}, SumShape{500, 70, 300}}) {
    const GuardedBuffer<float> x = random.buffer(s.outer * s.count * s.inner);
    for_each_kernel(sum_kernels(), [&](const Kernel<SumKernel>& kernel) {
      std::vector<float> first, scratch(sum_scratch(s));
      for_each_thread_count([&](ThreadPool& pool) {
        std::vector<float> y(static_cast<size_t>(s.outer * s.inner));
        kernel.run(s, {x.data(), 1, y.data(), scratch.data()}, pool);
        if (first.empty()) first = y;
        expect_same_bits(y, first);
      });
    });
  }
}

TEST(Sum, OfAMillionOnesIsExact) {
  ThreadPool pool(1);
  for (const SumShape& s : {SumShape{1, 20'000'001, 1}, SumShape{1, 20'000'001, 3}}) {
    const std::vector<float> x(static_cast<size_t>(s.count * s.inner), 1.0f);
    std::vector<float> y(static_cast<size_t>(s.inner)), scratch(sum_scratch(s));
    const Kernel<SumKernel>& kernel = select(sum_kernels(), allowed_isa());
    if (kernel.isa == Isa::reference) GTEST_SKIP() << "the reference adds up roundings";
    kernel.run(s, {x.data(), 1, y.data(), scratch.data()}, pool);
    for (const float value : y) EXPECT_NEAR(value, 20'000'001, 2);
  }
}

TEST(Sum, NanStaysInItsPlace) {
  ThreadPool pool(1);
  const SumShape s{2, 300, 5};
  for_each_kernel(sum_kernels(), [&](const Kernel<SumKernel>& kernel) {
    std::vector<float> x(2 * 300 * 5, 1.0f), y(10), scratch(sum_scratch(s));
    x[300 * 5 + 290 * 5 + 3] = std::numeric_limits<float>::quiet_NaN();
    kernel.run(s, {x.data(), 1, y.data(), scratch.data()}, pool);
    for (size_t i = 0; i < y.size(); i++) EXPECT_EQ(std::isnan(y[i]), i == 8) << i;
  });
}

}  // namespace
}  // namespace tvn
