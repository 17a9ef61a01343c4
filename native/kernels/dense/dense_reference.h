// Reference kernels of dense. Sums are taken in f64 whatever the type of the tensors.
#pragma once

#include "kernels/dense/dense.h"

namespace tvn::reference {

template <class Real>
void dense_forward(const DenseShape& s, const Real* x, const Real* w, const Real* b, Real* y) {
  for (int64_t r = 0; r < s.rows; r++)
    for (int64_t k = 0; k < s.outputs; k++) {
      double sum = b[k];
      for (int64_t c = 0; c < s.channels; c++) sum += static_cast<double>(x[r * s.channels + c]) * w[c * s.outputs + k];
      y[r * s.outputs + k] = static_cast<Real>(sum);
    }
}

template <class Real>
void dense_backward(const DenseShape& s, const Real* x, const Real* w, const Real* dy, Real* dx, Real* dw, Real* db) {
  for (int64_t c = 0; c < s.channels; c++) {
    for (int64_t r = 0; r < s.rows && dx; r++) {
      double sum = 0;
      for (int64_t k = 0; k < s.outputs; k++) sum += static_cast<double>(dy[r * s.outputs + k]) * w[c * s.outputs + k];
      dx[r * s.channels + c] = static_cast<Real>(sum);
    }
    for (int64_t k = 0; k < s.outputs; k++) {
      double sum = 0;
      for (int64_t r = 0; r < s.rows; r++) sum += static_cast<double>(x[r * s.channels + c]) * dy[r * s.outputs + k];
      dw[c * s.outputs + k] = static_cast<Real>(sum);
    }
  }
  for (int64_t k = 0; k < s.outputs; k++) {
    double sum = 0;
    for (int64_t r = 0; r < s.rows; r++) sum += dy[r * s.outputs + k];
    db[k] = static_cast<Real>(sum);
  }
}

}  // namespace tvn::reference
