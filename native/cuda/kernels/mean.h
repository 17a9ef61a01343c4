// Mean over `count` consecutive rows of each of `groups` groups: over a clip (groups = N, count = T·H·W) or a frame (N·T, H·W).
#pragma once

#include "cuda/kernels/shape.h"

namespace tvn::cuda {

struct MeanShape {
  int groups, count, channels;
};

struct MeanForwardArgs {
  const half* x;  // [groups, count, C]
  half* y;        // [groups, C]; one of y and y32
  float* y32;
  float* workspace;  // mean_workspace bytes
};

struct MeanBackwardArgs {
  const half* dy;   // [groups, C]
  bool accumulate;  // add to dx
  half* dx;         // [groups, count, C]
};

/** Sums in f32, in an order that the shape alone decides. */
void mean_forward(const MeanShape&, const MeanForwardArgs&, cudaStream_t);
/** Sums instead of means: the gradient of a bias, with groups = 1. */
void sum_rows(const MeanShape&, const MeanForwardArgs&, cudaStream_t);
size_t mean_workspace(const MeanShape&);
void mean_backward(const MeanShape&, const MeanBackwardArgs&, cudaStream_t);

}  // namespace tvn::cuda
