// The non-local layer's attention (Wang et al. 2018, embedded Gaussian): y = softmax(theta·phiᵀ / sqrt(D))·g, per clip.
//
// theta, y: [N, queries, D]; phi, g: [N, keys, D]; the softmax runs over keys, online: no matrix of scores is stored (Dao et al. 2022).
// `depth` is D without stored padding (its square root counts), `stored` the channels of a row. Backward recomputes the scores from the
// logarithm of each row's denominator.
#pragma once

#include "cuda/kernels/shape.h"

namespace tvn::cuda {

struct AttentionShape {
  int n, queries, keys, depth, stored;
};

struct AttentionForwardArgs {
  const half* theta;
  const half* phi;
  const half* g;
  half* y;
  float* log_sums;  // [N, queries], for the backward pass; or null
};

struct AttentionBackwardArgs {
  const half* theta;
  const half* phi;
  const half* g;
  const half* y;
  const half* dy;
  const float* log_sums;
  half* dtheta;  // all three are overwritten
  half* dphi;
  half* dg;
  float* workspace;  // attention_workspace bytes
};

void attention_forward(const AttentionShape&, const AttentionForwardArgs&, cudaStream_t);
void attention_backward(const AttentionShape&, const AttentionBackwardArgs&, cudaStream_t);
size_t attention_workspace(const AttentionShape&);

}  // namespace tvn::cuda
