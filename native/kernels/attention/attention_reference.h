// Attention as its contract says it, one query at a time.
#pragma once

#include <cmath>

#include "kernels/attention/attention.h"

namespace tvn {

/** Calls f(n, query) when p holds the probabilities of the query's keys. */
template <class Real, class F>
void for_each_attention_query(const AttentionShape& s, const Real* theta, const Real* phi, Real* p, const F& f) {
  const Real scale = 1 / std::sqrt(static_cast<Real>(s.depth));
  for (int64_t n = 0; n < s.n; n++)
    for (int64_t query = 0; query < s.queries; query++) {
      const Real* const q = theta + (n * s.queries + query) * s.depth;
      Real largest = -INFINITY, total = 0;
      for (int64_t key = 0; key < s.keys; key++) {
        Real score = 0;
        for (int64_t d = 0; d < s.depth; d++) score += q[d] * phi[(n * s.keys + key) * s.depth + d];
        p[key] = score * scale;
        if (score * scale > largest) largest = score * scale;
      }
      for (int64_t key = 0; key < s.keys; key++) total += p[key] = std::exp(p[key] - largest);
      for (int64_t key = 0; key < s.keys; key++) p[key] /= total;
      f(n, query);
    }
}

/** `p`: scratch [keys]. */
template <class Real>
void attention_forward_reference(const AttentionShape& s, const Real* theta, const Real* phi, const Real* g, Real* y, Real* p) {
  for_each_attention_query(s, theta, phi, p, [&](int64_t n, int64_t query) {
    for (int64_t d = 0; d < s.depth; d++) {
      Real sum = 0;
      for (int64_t key = 0; key < s.keys; key++) sum += p[key] * g[(n * s.keys + key) * s.depth + d];
      y[(n * s.queries + query) * s.depth + d] = sum;
    }
  });
}

/** `p`: scratch [2, keys]. */
template <class Real>
void attention_backward_reference(const AttentionShape& s, const Real* theta, const Real* phi, const Real* g, const Real* dy, Real* dtheta,
                                  Real* dphi, Real* dg, Real* p) {
  for (int64_t i = 0; i < s.n * s.queries * s.depth; i++) dtheta[i] = 0;
  for (int64_t i = 0; i < s.n * s.keys * s.depth; i++) dphi[i] = dg[i] = 0;
  Real* const dp = p + s.keys;
  const Real scale = 1 / std::sqrt(static_cast<Real>(s.depth));
  for_each_attention_query(s, theta, phi, p, [&](int64_t n, int64_t query) {
    const int64_t q = (n * s.queries + query) * s.depth;
    Real mean = 0;  // of dp under p
    for (int64_t key = 0; key < s.keys; key++) {
      Real& sum = dp[key] = 0;
      for (int64_t d = 0; d < s.depth; d++) sum += dy[q + d] * g[(n * s.keys + key) * s.depth + d];
      mean += p[key] * sum;
    }
    for (int64_t key = 0; key < s.keys; key++) {
      const int64_t k = (n * s.keys + key) * s.depth;
      const Real ds = p[key] * (dp[key] - mean) * scale;
      for (int64_t d = 0; d < s.depth; d++) {
        dtheta[q + d] += ds * phi[k + d];
        dphi[k + d] += ds * theta[q + d];
        dg[k + d] += p[key] * dy[q + d];
      }
    }
  });
}

}  // namespace tvn
