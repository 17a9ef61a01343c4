// The helpers must be able to fail.
#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "test/gradient.h"
#include "test/guarded_buffer.h"
#include "test/random.h"
#include "test/tolerance.h"

namespace tvn::test {
namespace {

TEST(GuardedBuffer, IsMisalignedAndUnwritten) {
  for (const size_t misalign : {0, 1, 5}) {
    const GuardedBuffer<float> x(3, misalign);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(x.data()) % cache_line, misalign * sizeof(float));
    for (const float value : x) EXPECT_TRUE(std::isnan(value));
  }
}

TEST(GuardedBuffer, NoticesOneByteOnEitherSide) {
  EXPECT_NONFATAL_FAILURE(
      {
        GuardedBuffer<float> x(3, 1);
        reinterpret_cast<char*>(x.data())[-1] = 0;
      },
      "byte −1 before a buffer");
  EXPECT_NONFATAL_FAILURE(
      {
        GuardedBuffer<float> x(3);
        reinterpret_cast<char*>(x.data() + 3)[0] = 0;
      },
      "byte +0 behind a buffer");
}

TEST(Random, RepeatsAndHasZerosAndBothSigns) {
  Random a, b;
  const GuardedBuffer<float> x = a.buffer(1000), y = b.buffer(1000);
  expect_same_bits(x, y);
  int zeros = 0, negative = 0, positive = 0;
  for (const float value : x) {
    zeros += value == 0;
    negative += value < 0;
    positive += value > 0;
  }
  EXPECT_GT(zeros, 10);
  EXPECT_GT(negative, 300);
  EXPECT_GT(positive, 300);
}

TEST(Tolerance, NoticesErrorsAndMisplacedNan) {
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  static const std::vector<float> got = {1, nan, 2.00001f};
  expect_close(got, std::vector<double>{1 + 1e-8, std::nan(""), 2.00001}, {});
  EXPECT_NONFATAL_FAILURE(expect_close(got, std::vector<double>{1, std::nan(""), 2}, {}), "element 2 of 3");
  EXPECT_NONFATAL_FAILURE(expect_close(got, std::vector<double>{1, 1, 2.00001}, {}), "element 1 of 3");
  EXPECT_NONFATAL_FAILURE(expect_close(got, std::vector<double>{std::nan(""), std::nan(""), 2.00001}, {}), "element 0 of 3");
}

TEST(Gradient, NoticesAWrongOne) {
  static std::vector<double> x = {0.5, -2};
  const auto loss = [] { return x[0] * x[0] + 3 * x[1]; };
  expect_gradient("dx", x, std::vector<double>{1, 3}, loss);
  EXPECT_NONFATAL_FAILURE(expect_gradient("dx", x, std::vector<double>{1, 3.01}, [] { return x[0] * x[0] + 3 * x[1]; }), "dx[1] of 2");
}

}  // namespace
}  // namespace tvn::test
