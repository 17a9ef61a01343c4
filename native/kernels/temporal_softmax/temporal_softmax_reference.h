// Kernels of the head's pooling over time: [N, T, K] is a few hundred values, so there are no others. Sums are taken in f64.
#pragma once

#include <cmath>

#include "kernels/temporal_softmax/temporal_softmax.h"

namespace tvn::reference {

/** For one output: Σ_t e_t and Σ_t e_t·x_t with e_t = exp((x_t − max x) / sqrt(T)). */
template <class Real>
struct TemporalSoftmax {
  TemporalSoftmax(int64_t frames, const Real* first, int64_t frame_stride)
      : x(first), stride(frame_stride), scale(1 / std::sqrt(static_cast<double>(frames))), highest(first[0]) {
    for (int64_t t = 1; t < frames; t++) highest = x[t * stride] > highest || std::isnan(x[t * stride]) ? x[t * stride] : highest;
    for (int64_t t = 0; t < frames; t++) {
      sum += exponential(t);
      weighted += exponential(t) * x[t * stride];
    }
  }
  double exponential(int64_t t) const { return std::exp((x[t * stride] - highest) * scale); }
  double probability(int64_t t) const { return exponential(t) / sum; }
  double mean() const { return weighted / sum; }

  const Real* x;
  int64_t stride;
  double scale, highest;
  double sum = 0, weighted = 0;
};

template <class Real>
void temporal_softmax_forward(const TemporalSoftmaxShape& s, const Real* x, Real* y) {
  for (int64_t n = 0; n < s.n; n++)
    for (int64_t k = 0; k < s.outputs; k++)
      y[n * s.outputs + k] = static_cast<Real>(TemporalSoftmax<Real>(s.frames, x + n * s.frames * s.outputs + k, s.outputs).mean());
}

/** dx_t = dy·p_t·(1 + (x_t − y) / sqrt(T)). */
template <class Real>
void temporal_softmax_backward(const TemporalSoftmaxShape& s, const Real* x, const Real* dy, Real* dx) {
  for (int64_t n = 0; n < s.n; n++)
    for (int64_t k = 0; k < s.outputs; k++) {
      const int64_t at = n * s.frames * s.outputs + k;
      const TemporalSoftmax<Real> softmax(s.frames, x + at, s.outputs);
      for (int64_t t = 0; t < s.frames; t++) {
        const double slope = softmax.probability(t) * (1 + (x[at + t * s.outputs] - softmax.mean()) * softmax.scale);
        dx[at + t * s.outputs] = static_cast<Real>(dy[n * s.outputs + k] * slope);
      }
    }
}

}  // namespace tvn::reference
