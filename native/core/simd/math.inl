// Elementary and activation functions over Vec. Include after core/simd/<isa>.h; the names land in that header's namespace.
#pragma once

#include "core/enums.h"

namespace tvn::TVN_ISA {

/**
 * e^x within 2 ulp, subnormal results included: +inf above the largest finite result, +0 below the smallest, NaN for NaN.
 *
 * e^x = 2^n · e^r with n = round(x / ln 2), so |r| <= ln 2 / 2. There e^r = 1 + r + r²·P(r), where P of degree 4 minimises the
 * largest relative error (3e-9). ln 2 is split in two so that n times its first part is exact.
 */
inline Vec exp(Vec x) {
  // Beyond these the result is inf or 0 in any case. A NaN passes both, because it is the second operand.
  const Vec clamped = min(broadcast(89.0f), max(broadcast(-104.0f), x));
  const Vec n = round_nearest(clamped * broadcast(1.44269504f));
  const Vec r = fnma(n, broadcast(1.42860682e-6f), fnma(n, broadcast(0.693145752f), clamped));
  Vec p = fma(broadcast(1.38207304e-3f), r, broadcast(8.36867746e-3f));
  p = fma(p, r, broadcast(4.16682661e-2f));
  p = fma(p, r, broadcast(1.66665211e-1f));
  p = fma(p, r, broadcast(4.9999994e-1f));
  p = fma(p, r * r, r);
  return scale_exponent(p + broadcast(1.0f), n);
}

/** 1 / (1 + e^−x), within 3 ulp where that is normal; NaN for NaN. */
inline Vec sigmoid(Vec x) {
  const Vec one = broadcast(1.0f);
  return one / (one + exp(zero() - x));
}

/** As kernels/activation; NaN for NaN (it is the second operand of every max and min). */
inline Vec relu(Vec x) { return max(zero(), x); }
inline Vec hswish(Vec x) {
  const Vec relu6 = min(broadcast(6.0f), max(zero(), x + broadcast(3.0f)));
  return x * relu6 * broadcast(1.0f / 6.0f);
}
inline Vec apply(Function function, Vec x) {
  switch (function) {
    case Function::relu: return relu(x);
    case Function::hswish: return hswish(x);
    case Function::sigmoid: return sigmoid(x);
    case Function::none: break;
  }
  return x;
}

}  // namespace tvn::TVN_ISA
