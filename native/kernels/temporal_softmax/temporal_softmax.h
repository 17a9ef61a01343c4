// The multi-label head's pooling over time: y[n,k] = Σ_t x[n,t,k] · softmax_t(x[n,t,k] / sqrt(T)).
#pragma once

#include <cstdint>
#include <span>

#include "core/kernel_list.h"
#include "core/thread_pool.h"

namespace tvn {

struct TemporalSoftmaxShape {
  int64_t n, frames, outputs;
};

struct TemporalSoftmaxForwardArgs {
  const float* x;  // [N, T, K]
  float* y;        // [N, K]
};

struct TemporalSoftmaxBackwardArgs {
  const float* x;
  const float* dy;  // [N, K]
  float* dx;        // overwritten
};

using TemporalSoftmaxForward = void(const TemporalSoftmaxShape&, const TemporalSoftmaxForwardArgs&, ThreadPool&);
using TemporalSoftmaxBackward = void(const TemporalSoftmaxShape&, const TemporalSoftmaxBackwardArgs&, ThreadPool&);

std::span<const Kernel<TemporalSoftmaxForward>> temporal_softmax_forward_kernels();
std::span<const Kernel<TemporalSoftmaxBackward>> temporal_softmax_backward_kernels();

}  // namespace tvn
