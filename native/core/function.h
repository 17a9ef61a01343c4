// The activation functions in plain C++: what the reference kernels apply.
#pragma once

#include <cmath>

#include "core/enums.h"

namespace tvn {

/** NaN for NaN. The vectorised form is in core/simd/math.inl. */
template <class Real>
Real apply(Function function, Real x) {
  switch (function) {
    case Function::relu: return x < 0 ? Real(0) : x;
    case Function::hswish: return x * (x < -3 ? Real(0) : x > 3 ? Real(6) : x + 3) / 6;
    case Function::sigmoid: return 1 / (1 + std::exp(-x));
    case Function::none: break;
  }
  return x;
}

}  // namespace tvn
