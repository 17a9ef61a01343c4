// Batch normalisation over the last axis in training, with the activation that follows it. fp16 tensors [rows, C], f32 statistics;
// C is the number of stored channels, of which those that are not there stay zero (sigmoid(0) is not).
//
//   statistics:  mean[c] = Σ x / M,  variance[c] = Σ (x − mean)² / M (biased), M = rows
//   apply:       y = f(γ·(x − mean)·rstd + β), rstd = 1 / sqrt(variance + epsilon)
//   backward:    with x̂ = (x − mean)·rstd, u = γ·x̂ + β, d = dy·f'(u):
//                dbeta = Σ d,  dgamma = Σ d·x̂,  dx (+)= γ·rstd·(d − dbeta/M − x̂·dgamma/M)
//
// Sums over rows are made of chunks, merged in an order that the shape alone decides (Chan et al. for the variance, so that a large mean
// costs no digits). The pre-activation u is recomputed from x, so it need not be stored.
#pragma once

#include "cuda/kernels/shape.h"

namespace tvn::cuda {

struct BatchNormShape {
  int rows, channels, stored;
};

struct BatchNormForwardArgs {
  const half* x;
  const float* gamma;  // [C]; γ and β of channels that are not there are zero
  const float* beta;
  float epsilon;
  Function function;
  float* mean;       // [C], of this batch
  float* variance;   // [C], biased
  half* y;           // may be x
  float* workspace;  // batch_norm_workspace bytes
};

struct BatchNormBackwardArgs {
  const half* x;
  const half* dy;
  const float* mean;
  const float* variance;
  const float* gamma;
  const float* beta;
  float epsilon;
  Function function;
  float* dgamma;  // [C], overwritten
  float* dbeta;
  bool accumulate;  // add to dx instead of overwriting it
  half* dx;         // may be dy; null where x needs no gradient
  float* workspace;
};

void batch_norm_forward(const BatchNormShape&, const BatchNormForwardArgs&, cudaStream_t);
void batch_norm_backward(const BatchNormShape&, const BatchNormBackwardArgs&, cudaStream_t);
size_t batch_norm_workspace(const BatchNormShape&);

}  // namespace tvn::cuda
