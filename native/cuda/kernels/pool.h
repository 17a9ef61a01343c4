// Max and average pooling over T, H and W. Padded elements take no part: the maximum ignores them, the average divides by the number of
// real elements. A NaN in a window is its maximum. The gradient of a maximum goes to the first of equal elements in (kt, kh, kw) order.
#pragma once

#include <cstdint>

#include "cuda/kernels/shape.h"

namespace tvn::cuda {

struct PoolShape {
  Extents x, y;  // y.c = x.c
  Window window;
  Pooling pooling;
};

struct PoolForwardArgs {
  const half* x;
  half* y;
  /** For the backward pass of max: which tap of its window each element of y came from, (kt·KH + kh)·KW + kw; or null. */
  uint16_t* winners;
};

struct PoolBackwardArgs {
  const uint16_t* winners;  // read by max only
  const half* dy;
  bool accumulate;  // add to dx
  half* dx;
};

void pool_forward(const PoolShape&, const PoolForwardArgs&, cudaStream_t);
/** Gathers: every element of dx sums over the windows that hold it, in their order. */
void pool_backward(const PoolShape&, const PoolBackwardArgs&, cudaStream_t);

}  // namespace tvn::cuda
