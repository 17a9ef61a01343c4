#include "kernels/dropout/dropout.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/dropout/dropout_reference.h"
#include "test/kernels.h"
#include "test/random.h"
#include "test/sizes.h"
#include "test/tolerance.h"

namespace tvn {
namespace {

using namespace test;

/** 1 where a value is kept, else 0. */
std::vector<float> mask(int64_t size, float rate, uint64_t seed) {
  std::vector<float> m(static_cast<size_t>(size), 1 - rate);
  reference::dropout(size, m.data(), rate, seed, m.data());
  for (float& value : m) value = value > 0 ? 1.0f : 0.0f;
  return m;
}

/** Pearson correlation of two masks of rate ½, in standard deviations of chance. */
double correlation(const std::vector<float>& a, const std::vector<float>& b, size_t lag) {
  double sum = 0;
  for (size_t i = 0; i + lag < a.size(); i++) sum += (a[i] - 0.5) * (b[i + lag] - 0.5) * 4;
  return std::fabs(sum) / std::sqrt(static_cast<double>(a.size() - lag));
}

TEST(Dropout, EveryKernelDrawsTheSameMaskAndMayOverwriteX) {
  Random random;
  ThreadPool pool(1);
  for_each_kernel(dropout_kernels(), [&](const Kernel<Dropout>& kernel) {
    for (const float rate : {0.0f, 0.1f, 0.5f, 0.99f})
      for (const int64_t size : hostile_sizes) {
        SCOPED_TRACE(testing::Message() << "rate " << rate << ", size " << size);
        const uint64_t seed = random.bits();
        GuardedBuffer<float> x = random.buffer(size, 1), y(size, 2), want(size);
        reference::dropout(size, x.data(), rate, seed, want.data());
        kernel.run(size, {x.data(), rate, seed, y.data()}, pool);
        expect_same_bits(y, want);
        kernel.run(size, {x.data(), rate, seed, x.data()}, pool);
        expect_same_bits(x, want);
      }
  });
}

TEST(Dropout, KeepsTheRateAndTheMean) {
  constexpr int64_t size = 1 << 20;
  for (const float rate : {0.1f, 0.5f, 0.9f}) {
    const std::vector<float> m = mask(size, rate, 42);
    double kept = 0;
    for (const float value : m) kept += value;
    const double deviation = std::sqrt(size * rate * (1.0 - rate));
    EXPECT_LT(std::fabs(kept - size * (1.0 - rate)), 5 * deviation) << rate;
    std::vector<float> ones(16, 1.0f), y(16);
    reference::dropout(16, ones.data(), rate, 42, y.data());
    for (const float value : y) EXPECT_TRUE(value == 0 || std::fabs(value - 1 / (1 - rate)) < 1e-6f / (1 - rate));
  }
}

TEST(Dropout, IndicesAndSeedsAreIndependent) {
  constexpr int64_t size = 1 << 18;
  const std::vector<float> m = mask(size, 0.5f, 7);
  for (const size_t lag : {1, 2, 16, 48, 1000}) EXPECT_LT(correlation(m, m, lag), 5) << "lag " << lag;
  for (const uint64_t seed : {uint64_t{6}, uint64_t{8}, uint64_t{7} << 32, ~uint64_t{7}})
    for (const size_t lag : {0, 1}) EXPECT_LT(correlation(m, mask(size, 0.5f, seed), lag), 5) << "seed " << seed << ", lag " << lag;
}

TEST(Dropout, ThreadsDoNotChangeBits) {
  Random random;
  constexpr int64_t size = 100003;
  const GuardedBuffer<float> x = random.buffer(size);
  for_each_kernel(dropout_kernels(), [&](const Kernel<Dropout>& kernel) {
    std::vector<float> first;
    for_each_thread_count([&](ThreadPool& pool) {
      std::vector<float> y(size);
      kernel.run(size, {x.data(), 0.3f, 3, y.data()}, pool);
      if (first.empty()) first = y;
      expect_same_bits(y, first);
    });
  });
}

TEST(Dropout, NanSurvivesEvenWhereItIsDropped) {
  ThreadPool pool(1);
  const std::vector<float> x(100, std::numeric_limits<float>::quiet_NaN());
  for_each_kernel(dropout_kernels(), [&](const Kernel<Dropout>& kernel) {
    std::vector<float> y(100);
    kernel.run(100, {x.data(), 0.5f, 1, y.data()}, pool);
    for (const float value : y) EXPECT_TRUE(std::isnan(value));
  });
}

}  // namespace
}  // namespace tvn
