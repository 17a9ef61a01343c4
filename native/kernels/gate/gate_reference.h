// Reference kernels of gate. Sums are taken in f64 whatever the type of the tensors.
#pragma once

#include "core/function.h"
#include "kernels/gate/gate.h"

namespace tvn::reference {

template <class Real>
void gate_forward(const GateShape& s, const Real* x, const Real* z, Real* y) {
  for (int64_t row = 0; row < s.n * s.positions; row++)
    for (int64_t c = 0; c < s.channels; c++)
      y[row * s.channels + c] = x[row * s.channels + c] * apply(Function::sigmoid, z[row / s.positions * s.channels + c]);
}

template <class Real>
void gate_backward(const GateShape& s, const Real* x, const Real* z, const Real* dy, bool accumulate, Real* dx, Real* dz) {
  for (int64_t n = 0; n < s.n; n++)
    for (int64_t c = 0; c < s.channels; c++) {
      const Real gate = apply(Function::sigmoid, z[n * s.channels + c]);
      double sum = 0;
      for (int64_t p = 0; p < s.positions; p++) {
        const int64_t i = (n * s.positions + p) * s.channels + c;
        sum += static_cast<double>(dy[i]) * x[i];
        dx[i] = accumulate ? dx[i] + dy[i] * gate : dy[i] * gate;
      }
      dz[n * s.channels + c] = static_cast<Real>(gate * (1 - gate) * sum);
    }
}

}  // namespace tvn::reference
