// Elementwise functions: relu(x) = max(x, 0); hswish(x) = x·min(max(x + 3, 0), 6)/6; sigmoid(x) = 1 / (1 + e^−x).
//
// NaN stays NaN through every one of them (a diverged training must not look healthy).
#pragma once

#include <cstdint>
#include <span>

#include "core/enums.h"
#include "core/kernel_list.h"
#include "core/thread_pool.h"

namespace tvn {

struct ActivationForwardArgs {
  Function function;
  const float* x;
  float* y;  // may be x
};

/** dx (+)= dy·f'. relu and sigmoid read y only, hswish reads x only, so the other may be null. */
struct ActivationBackwardArgs {
  Function function;
  const float* x;
  const float* y;
  const float* dy;
  bool accumulate;  // add to dx instead of overwriting it
  float* dx;        // may be dy
};

using ActivationForward = void(int64_t size, const ActivationForwardArgs&, ThreadPool&);
using ActivationBackward = void(int64_t size, const ActivationBackwardArgs&, ThreadPool&);

std::span<const Kernel<ActivationForward>> activation_forward_kernels();
std::span<const Kernel<ActivationBackward>> activation_backward_kernels();

}  // namespace tvn
