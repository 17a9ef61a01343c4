// Max and average pooling over T, H and W.
//
// Padded elements take no part: the maximum ignores them, the average divides by the number of real elements. A NaN in a window is
// its maximum. The gradient of a maximum goes to the first of equal elements in (kt, kh, kw) order, that of a NaN to the first of all.
// Windows may overlap, and every window holds at least one real element. Bit-identical for any number of threads.
#pragma once

#include <span>

#include "core/enums.h"
#include "core/kernel_list.h"
#include "core/shape.h"
#include "core/thread_pool.h"

namespace tvn {

struct PoolShape {
  Shape x, y;  // y.c = x.c
  Window window;
  Pooling pooling;
};

struct PoolForwardArgs {
  const float* x;
  float* y;
};

struct PoolBackwardArgs {
  const float* x;  // read by max only
  const float* y;  // read by max only
  const float* dy;
  bool accumulate;  // add to dx instead of overwriting it
  float* dx;
};

using PoolForward = void(const PoolShape&, const PoolForwardArgs&, ThreadPool&);
using PoolBackward = void(const PoolShape&, const PoolBackwardArgs&, ThreadPool&);

std::span<const Kernel<PoolForward>> pool_forward_kernels();
std::span<const Kernel<PoolBackward>> pool_backward_kernels();

}  // namespace tvn
