// Attention as its contract says it, one query at a time.
#pragma once

#include <cmath>
#include <vector>

#include "kernels/attention/attention.h"

namespace tvn {

/** Calls f(n, query, the probabilities of its keys). */
template <class Real, class F>
void for_each_attention_query(const AttentionShape& s, const Real* theta, const Real* phi, const F& f) {
  std::vector<Real> p(static_cast<std::size_t>(s.keys));
  const Real scale = 1 / std::sqrt(static_cast<Real>(s.depth));
  for (int64_t n = 0; n < s.n; n++)
    for (int64_t query = 0; query < s.queries; query++) {
      const Real* const q = theta + (n * s.queries + query) * s.depth;
      Real largest = -INFINITY, total = 0;
      for (int64_t key = 0; key < s.keys; key++) {
        Real score = 0;
        for (int64_t d = 0; d < s.depth; d++) score += q[d] * phi[(n * s.keys + key) * s.depth + d];
        p[static_cast<std::size_t>(key)] = score * scale;
        if (score * scale > largest) largest = score * scale;
      }
      for (Real& value : p) total += value = std::exp(value - largest);
      for (Real& value : p) value /= total;
      f(n, query, p.data());
    }
}

template <class Real>
void attention_forward_reference(const AttentionShape& s, const Real* theta, const Real* phi, const Real* g, Real* y) {
  for_each_attention_query(s, theta, phi, [&](int64_t n, int64_t query, const Real* p) {
    for (int64_t d = 0; d < s.depth; d++) {
      Real sum = 0;
      for (int64_t key = 0; key < s.keys; key++) sum += p[key] * g[(n * s.keys + key) * s.depth + d];
      y[(n * s.queries + query) * s.depth + d] = sum;
    }
  });
}

template <class Real>
void attention_backward_reference(const AttentionShape& s, const Real* theta, const Real* phi, const Real* g, const Real* dy, Real* dtheta,
                                  Real* dphi, Real* dg) {
  for (int64_t i = 0; i < s.n * s.queries * s.depth; i++) dtheta[i] = 0;
  for (int64_t i = 0; i < s.n * s.keys * s.depth; i++) dphi[i] = dg[i] = 0;
  std::vector<Real> dp(static_cast<std::size_t>(s.keys));
  const Real scale = 1 / std::sqrt(static_cast<Real>(s.depth));
  for_each_attention_query(s, theta, phi, [&](int64_t n, int64_t query, const Real* p) {
    const int64_t q = (n * s.queries + query) * s.depth;
    Real mean = 0;  // of dp under p
    for (int64_t key = 0; key < s.keys; key++) {
      Real& sum = dp[static_cast<std::size_t>(key)] = 0;
      for (int64_t d = 0; d < s.depth; d++) sum += dy[q + d] * g[(n * s.keys + key) * s.depth + d];
      mean += p[key] * sum;
    }
    for (int64_t key = 0; key < s.keys; key++) {
      const int64_t k = (n * s.keys + key) * s.depth;
      const Real ds = p[key] * (dp[static_cast<std::size_t>(key)] - mean) * scale;
      for (int64_t d = 0; d < s.depth; d++) {
        dtheta[q + d] += ds * phi[k + d];
        dphi[k + d] += ds * theta[q + d];
        dg[k + d] += p[key] * dy[q + d];
      }
    }
  });
}

}  // namespace tvn
