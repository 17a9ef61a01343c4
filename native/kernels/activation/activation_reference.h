// Reference kernels of the activation functions and their derivatives.
#pragma once

#include <cstdint>

#include "core/function.h"

namespace tvn::reference {

/** f'(x); relu'(0) = 0, hswish'(±3) is the outer slope. NaN for NaN. */
template <class Real>
Real derivative(Function function, Real x) {
  switch (function) {
    case Function::relu: return x > 0 ? Real(1) : x <= 0 ? Real(0) : x;
    case Function::hswish: return x <= -3 ? Real(0) : x >= 3 ? Real(1) : (2 * x + 3) / 6;
    case Function::sigmoid: return apply(function, x) * (1 - apply(function, x));
    case Function::none: break;
  }
  return 1;
}

/** relu' and sigmoid' from y. */
template <class Real>
Real derivative_from_y(Function function, Real y) {
  return function == Function::sigmoid ? y * (1 - y) : derivative(function, y);
}

template <class Real>
void activation_forward(int64_t size, Function function, const Real* x, Real* y) {
  for (int64_t i = 0; i < size; i++) y[i] = apply(function, x[i]);
}

template <class Real>
void activation_backward(int64_t size, Function function, const Real* x, const Real* y, const Real* dy, bool accumulate, Real* dx) {
  for (int64_t i = 0; i < size; i++) {
    Real d = dy[i];
    if (function == Function::hswish) d *= derivative(function, x[i]);
    if (function == Function::relu || function == Function::sigmoid) d *= derivative_from_y(function, y[i]);
    dx[i] = accumulate ? dx[i] + d : d;
  }
}

}  // namespace tvn::reference
