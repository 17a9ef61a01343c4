#include "core/simd/math_test.h"

// Tests are compiled for any CPU; from here on the compiler may use this one's instructions.
#pragma GCC diagnostic ignored "-Wuninitialized"  // g++ 12's own headers trip it
#pragma GCC diagnostic ignored "-Wpsabi"
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")
#include "core/simd/avx512.h"
//
#include "core/simd/math.inl"

namespace tvn::avx512 {
namespace {

void run_exp(const float* x, float* y) { store(y, exp(load(x))); }
void run_sigmoid(const float* x, float* y) { store(y, sigmoid(load(x))); }

}  // namespace
}  // namespace tvn::avx512
#pragma GCC pop_options

namespace tvn {
namespace {

TEST(MathAvx512, ExpIsWithinTwoUlp) {
  if (allowed_isa() < Isa::avx512) GTEST_SKIP() << "avx512 is missing or excluded by TVN_MAX_ISA";
  test::expect_accurate(avx512::lanes, 2, avx512::run_exp, [](double x) { return std::exp(x); });
}

TEST(MathAvx512, SigmoidIsWithinThreeUlp) {
  if (allowed_isa() < Isa::avx512) GTEST_SKIP() << "avx512 is missing or excluded by TVN_MAX_ISA";
  // Below, e^−x overflows and the result, which would be subnormal, is 0.
  test::expect_accurate(avx512::lanes, 3, avx512::run_sigmoid, [](double x) { return x < -88.722835 ? 0 : 1 / (1 + std::exp(-x)); });
}

}  // namespace
}  // namespace tvn
