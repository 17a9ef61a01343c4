// Squeeze-and-excitation's and context gating's multiplication: y = x · sigmoid(z), z [N,C] broadcast over the clip.
//
//   dx (+)= dy·s,  dz = s·(1 − s)·Σ dy·x,  s = sigmoid(z)
//
// Bit-identical for any number of threads.
#pragma once

#include <cstdint>
#include <span>

#include "core/kernel_list.h"
#include "core/thread_pool.h"

namespace tvn {

struct GateShape {
  int64_t n, positions, channels;  // positions = T·H·W
};

struct GateForwardArgs {
  const float* x;  // [N, positions, C]
  const float* z;  // [N, C]
  float* y;        // may be x
};

struct GateBackwardArgs {
  const float* x;
  const float* z;
  const float* dy;
  bool accumulate;  // add to dx instead of overwriting it; dz is always overwritten
  float* dx;        // may be dy
  float* dz;
};

using GateForward = void(const GateShape&, const GateForwardArgs&, ThreadPool&);
using GateBackward = void(const GateShape&, const GateBackwardArgs&, ThreadPool&);

std::span<const Kernel<GateForward>> gate_forward_kernels();
std::span<const Kernel<GateBackward>> gate_backward_kernels();

}  // namespace tvn
