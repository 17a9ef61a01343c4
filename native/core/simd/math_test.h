// The accuracy of exp and sigmoid, for math_<isa>_test.cpp to check on one vector type each.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "core/isa.h"

namespace tvn::test {

/** The distance in units of the last place of a float near `want`, subnormal ones included. */
inline double ulps_between(float got, double want) {
  if (std::isnan(want)) return std::isnan(got) ? 0 : HUGE_VAL;
  if (std::isinf(static_cast<float>(want))) return got == static_cast<float>(want) ? 0 : HUGE_VAL;
  const int exponent = want == 0 ? -149 : std::max(std::ilogb(want) - 23, -149);
  return std::fabs(got - want) / std::ldexp(1.0, exponent);
}

/** Compares apply(x, y), which computes `lanes` values, with `want` over every sign and magnitude, infinities and NaN included. */
template <class Apply, class Want>
void expect_accurate(int lanes, double ulps, const Apply& apply, const Want& want) {
  constexpr uint32_t step = 10007;  // a prime: all exponents, mantissas without a pattern
  float x[16], y[16];
  double worst = 0;
  float where = 0;
  for (uint64_t bits = 0; bits < uint64_t{1} << 32; bits += step * static_cast<uint64_t>(lanes)) {
    for (int i = 0; i < lanes; i++) x[i] = std::bit_cast<float>(static_cast<uint32_t>(bits + step * static_cast<uint32_t>(i)));
    if (bits == 0) {
      constexpr float infinity = std::numeric_limits<float>::infinity();
      const float special[] = {infinity, -infinity, std::nanf(""), 88.72283f, 88.72284f, -87.33655f, -103.97f, -104.1f};
      std::copy(std::begin(special), std::end(special), x);
    }
    apply(x, y);
    for (int i = 0; i < lanes; i++)
      if (const double distance = ulps_between(y[i], want(x[i])); distance > worst) {
        worst = distance;
        where = x[i];
      }
  }
  EXPECT_LE(worst, ulps) << "at x = " << where;
}

}  // namespace tvn::test
