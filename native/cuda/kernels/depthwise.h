// Depthwise convolution of frames: one filter a channel, weights [KH·KW][C], fp16 with f32 accumulation.
#pragma once

#include "cuda/kernels/shape.h"

namespace tvn::cuda {

struct DepthwiseShape {
  Extents x, y;   // y.c = x.c
  Window window;  // kt = st = 1
};

struct DepthwiseForwardArgs {
  const half* x;
  const half* w;
  const float* bias;  // [C], or null
  Function function;  // f(0) = 0 where channels are padded: not sigmoid
  half* y;
};

struct DepthwiseDataGradientArgs {
  const half* dy;
  const half* w;
  bool accumulate;  // add to dx
  half* dx;
};

struct DepthwiseWeightGradientArgs {
  const half* x;
  const half* dy;
  float* dw;         // [KH·KW][C], overwritten
  float* workspace;  // depthwise_weight_gradient_workspace bytes
};

void depthwise_forward(const DepthwiseShape&, const DepthwiseForwardArgs&, cudaStream_t);
void depthwise_data_gradient(const DepthwiseShape&, const DepthwiseDataGradientArgs&, cudaStream_t);
/** Sums over positions in an order that the shape alone decides. */
void depthwise_weight_gradient(const DepthwiseShape&, const DepthwiseWeightGradientArgs&, cudaStream_t);
size_t depthwise_weight_gradient_workspace(const DepthwiseShape&);

}  // namespace tvn::cuda
