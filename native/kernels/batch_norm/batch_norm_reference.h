// Reference kernels of batch normalisation. Sums are taken in f64 whatever the type of the tensors.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/activation/activation_reference.h"

namespace tvn::reference {

template <class Real>
void batch_norm_statistics(int64_t rows, int64_t channels, const Real* x, Real* mean, Real* variance) {
  for (int64_t c = 0; c < channels; c++) {
    double sum = 0, squares = 0;
    for (int64_t r = 0; r < rows; r++) sum += x[r * channels + c];
    const double center = sum / static_cast<double>(rows);
    for (int64_t r = 0; r < rows; r++) squares += (x[r * channels + c] - center) * (x[r * channels + c] - center);
    mean[c] = static_cast<Real>(center);
    variance[c] = static_cast<Real>(squares / static_cast<double>(rows));
  }
}

template <class Real>
void batch_norm_apply(int64_t rows, int64_t channels, const Real* x, const Real* scale, const Real* shift, Function function, Real* y) {
  for (int64_t r = 0; r < rows; r++)
    for (int64_t c = 0; c < channels; c++) y[r * channels + c] = apply(function, x[r * channels + c] * scale[c] + shift[c]);
}

template <class Real>
void batch_norm_backward(int64_t rows, int64_t channels, const Real* x, const Real* dy, const Real* mean, const Real* variance,
                         const Real* gamma, const Real* beta, Real epsilon, Function function, Real* dgamma, Real* dbeta, bool accumulate,
                         Real* dx) {
  const double m = static_cast<double>(rows);
  for (int64_t c = 0; c < channels; c++) {
    const Real rstd = 1 / std::sqrt(variance[c] + epsilon), scale = gamma[c] * rstd, shift = beta[c] - mean[c] * scale;
    const auto d = [&](int64_t i) { return dy[i] * derivative(function, x[i] * scale + shift); };
    double sum = 0, product = 0;
    for (int64_t r = 0; r < rows; r++) {
      const int64_t i = r * channels + c;
      sum += d(i);
      product += d(i) * (x[i] - mean[c]) * rstd;
    }
    dgamma[c] = static_cast<Real>(product);
    dbeta[c] = static_cast<Real>(sum);
    if (!dx) continue;
    for (int64_t r = 0; r < rows; r++) {
      const int64_t i = r * channels + c;
      const Real g = static_cast<Real>(scale * (d(i) - sum / m - (x[i] - mean[c]) * rstd * product / m));
      dx[i] = accumulate ? dx[i] + g : g;
    }
  }
}

}  // namespace tvn::reference
