// What kernels in bf16 are compared with: the same formula on rounded numbers.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "core/isa.h"
#include "test/tolerance.h"

namespace tvn::test {

/** Whether a kernel rounds sums of x and of w instead of x and w: Strassen's algorithm. */
template <class Kernel>
bool rounds_sums(const Kernel& kernel) {
  return kernel.precision == Precision::bf16 && kernel.row_unit == 0;
}

/**
 * Against numbers that are not rounded: every product has an error of its own. Strassen's algorithm rounds sums of up to four of them and
 * adds up more products.
 */
inline Tolerance bf16_products(double terms, bool sums_are_rounded) {
  return {.terms = terms, .factor = sums_are_rounded ? 0x1p18 : 0x1p16};
}

/** The nearest bf16, ties to even; denormals become 0, as the instructions have it. */
inline float rounded_to_bf16(float x) {
  if (std::isnan(x)) return x;
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  if ((bits & 0x7f800000u) == 0) return std::bit_cast<float>(bits & 0x80000000u);
  return std::bit_cast<float>((bits + 0x7fffu + (bits >> 16 & 1u)) & 0xffff0000u);
}

/** The input of a reference in f64. */
inline std::vector<double> bf16_to_double(std::span<const float> x) {
  std::vector<double> rounded;
  for (const float value : x) rounded.push_back(rounded_to_bf16(value));
  return rounded;
}

}  // namespace tvn::test
