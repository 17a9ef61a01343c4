// The end of a network: pooling over time and the losses. Logits are f32, [rows, K as stored]; gradients of logits are halves, multiplied
// by the loss scale.
#pragma once

#include "cuda/kernels/shape.h"

namespace tvn::cuda {

struct TemporalSoftmaxShape {
  int n, frames, outputs, stored;
};

/** y[n,k] = Σ_t x[n,t,k] · softmax_t(x[n,t,k] / sqrt(T)); x [N, T, stored], y [N, stored], whose padding is zero. */
void temporal_softmax_forward(const TemporalSoftmaxShape&, const float* x, float* y, cudaStream_t);
/** dx [N, T, stored], overwritten. dy and dx carry the loss scale. */
void temporal_softmax_backward(const TemporalSoftmaxShape&, const float* x, const float* dy, half* dx, cudaStream_t);

struct LossArgs {
  int n, classes, stored;
  bool multi_label;
  const float* logits;  // [N, stored]
  const int* labels;    // [N] class numbers; multi-label [N, classes] zeros and ones
  float smoothing;
  const float* loss_scale;  // one, on the device
  float* losses;            // [N]: each clip's share of the mean, whose sum is the loss
  half* dlogits;            // [N, stored], times the loss scale, padding zero; one of dlogits and dlogits32
  float* dlogits32;
};

/**
 * softmax cross-entropy:  mean over n of −Σ_k q[n,k]·log softmax(z[n])_k,  q = (1 − smoothing)·onehot + smoothing / K
 * sigmoid cross-entropy:  mean over n and k of −(q·log σ(z) + (1 − q)·log(1 − σ(z))),  q = label·(1 − smoothing) + smoothing / 2
 */
void loss(const LossArgs&, cudaStream_t);

}  // namespace tvn::cuda
