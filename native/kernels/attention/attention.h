// The non-local layer's attention (Wang et al. 2018, embedded Gaussian): y = softmax(theta·phiᵀ / sqrt(D))·g, per clip.
//
// theta, y: [N, queries, D]; phi, g: [N, keys, D]; the softmax runs over keys. Backward recomputes the probabilities.
// Bit-identical for any number of threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/kernel_list.h"
#include "core/thread_pool.h"

namespace tvn {

struct AttentionShape {
  int64_t n, queries, keys, depth;
};

struct AttentionForwardArgs {
  const float* theta;
  const float* phi;
  const float* g;
  float* y;
  float* scratch;  // attention_scratch floats
};

struct AttentionBackwardArgs {
  const float* theta;
  const float* phi;
  const float* g;
  const float* dy;
  float* dtheta;  // all three are overwritten
  float* dphi;
  float* dg;
  float* scratch;
};

using AttentionForward = void(const AttentionShape&, const AttentionForwardArgs&, ThreadPool&);
using AttentionBackward = void(const AttentionShape&, const AttentionBackwardArgs&, ThreadPool&);

std::span<const Kernel<AttentionForward>> attention_forward_kernels();
std::span<const Kernel<AttentionBackward>> attention_backward_kernels();

/** Floats of scratch that any of the kernels needs with that many threads. */
std::size_t attention_scratch(const AttentionShape&, int threads);

}  // namespace tvn
