// The losses: [N, K] is a few thousand logits, so there are no other kernels. Everything is computed in f64.
#pragma once

#include <cmath>
#include <cstdint>

namespace tvn::reference {

template <class Real>
double softmax_cross_entropy(int64_t n, int64_t classes, const Real* logits, const int32_t* labels, double smoothing, Real* dlogits) {
  double loss = 0;
  for (int64_t i = 0; i < n; i++) {
    const Real* z = logits + i * classes;
    double highest = z[0];
    for (int64_t k = 1; k < classes; k++) highest = z[k] > highest || std::isnan(z[k]) ? z[k] : highest;
    double sum = 0;
    for (int64_t k = 0; k < classes; k++) sum += std::exp(z[k] - highest);
    const double log_sum = highest + std::log(sum);
    for (int64_t k = 0; k < classes; k++) {
      const double q = (k == labels[i] ? 1 - smoothing : 0) + smoothing / static_cast<double>(classes), log_p = z[k] - log_sum;
      if (q != 0) loss -= q * log_p;
      dlogits[i * classes + k] = static_cast<Real>((std::exp(log_p) - q) / static_cast<double>(n));
    }
  }
  return loss / static_cast<double>(n);
}

/** −(q·log σ(z) + (1 − q)·log(1 − σ(z))) = max(z, 0) − q·z + log(1 + e^−|z|). */
template <class Real>
double sigmoid_cross_entropy(int64_t n, int64_t classes, const Real* logits, const int32_t* labels, double smoothing, Real* dlogits) {
  const double count = static_cast<double>(n * classes);
  double loss = 0;
  for (int64_t i = 0; i < n * classes; i++) {
    const double z = logits[i], q = labels[i] * (1 - smoothing) + smoothing / 2;
    loss += (z > 0 ? z : 0) - q * z + std::log1p(std::exp(-std::fabs(z)));
    dlogits[i] = static_cast<Real>((1 / (1 + std::exp(-z)) - q) / count);
  }
  return loss / count;
}

}  // namespace tvn::reference
