// Mean over the clip (T, H, W → [N,1,1,1,C]) or over each frame (H, W → [N,T,1,1,C]).
//
// A mean is a sum over `count` consecutive rows of each of `groups` groups: clip has N groups of T·H·W rows, frame N·T of H·W.
// Bit-identical for any number of threads.
#pragma once

#include <cstdint>
#include <span>

#include "core/kernel_list.h"
#include "core/thread_pool.h"

namespace tvn {

struct MeanShape {
  int64_t groups, count, channels;
};

struct MeanForwardArgs {
  const float* x;  // [groups, count, C]
  float* y;        // [groups, C]
};

struct MeanBackwardArgs {
  const float* dy;  // [groups, C]
  bool accumulate;  // add to dx instead of overwriting it
  float* dx;        // [groups, count, C]
};

using MeanForward = void(const MeanShape&, const MeanForwardArgs&, ThreadPool&);
using MeanBackward = void(const MeanShape&, const MeanBackwardArgs&, ThreadPool&);

std::span<const Kernel<MeanForward>> mean_forward_kernels();
std::span<const Kernel<MeanBackward>> mean_backward_kernels();

}  // namespace tvn
