// Reference kernels of mean. Sums are taken in f64 whatever the type of the tensors.
#pragma once

#include "kernels/mean/mean.h"

namespace tvn::reference {

template <class Real>
void mean_forward(const MeanShape& s, const Real* x, Real* y) {
  for (int64_t g = 0; g < s.groups; g++)
    for (int64_t c = 0; c < s.channels; c++) {
      double sum = 0;
      for (int64_t i = 0; i < s.count; i++) sum += x[(g * s.count + i) * s.channels + c];
      y[g * s.channels + c] = static_cast<Real>(sum / static_cast<double>(s.count));
    }
}

template <class Real>
void mean_backward(const MeanShape& s, const Real* dy, bool accumulate, Real* dx) {
  for (int64_t row = 0; row < s.groups * s.count; row++)
    for (int64_t c = 0; c < s.channels; c++) {
      const Real d = dy[row / s.count * s.channels + c] / static_cast<Real>(s.count);
      Real& to = dx[row * s.channels + c];
      to = accumulate ? to + d : d;
    }
}

}  // namespace tvn::reference
