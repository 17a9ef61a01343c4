// Depthwise convolution over H and W: one [KH,KW] filter a channel, every frame an image of its own (KT = ST = 1).
//
//   y[n,t,oh,ow,c] = f(bias[c] + Σ x[n, t, oh·SH+kh−PH, ow·SW+kw−PW, c] · w[kh,kw,c])
//
// x, y, dx, dy are NTHWC, w is [KH,KW,C], all f32, none overlap. Bit-identical for any number of threads.
#pragma once

#include <cstddef>
#include <span>

#include "core/enums.h"
#include "core/kernel_list.h"
#include "core/shape.h"
#include "core/thread_pool.h"

namespace tvn {

struct DepthwiseShape {
  Shape x, y;  // y.c = x.c
  Window window;
};

struct DepthwiseForwardArgs {
  const float* x;
  const float* w;
  const float* bias;  // [C], or null
  Function function;
  float* y;
};

struct DepthwiseDataGradientArgs {
  const float* dy;
  const float* w;
  bool accumulate;  // add to dx instead of overwriting it
  float* dx;
};

struct DepthwiseWeightGradientArgs {
  const float* x;
  const float* dy;
  float* dw;
  float* db;       // [C], or null
  float* scratch;  // depthwise_weight_gradient_scratch floats
};

using DepthwiseForward = void(const DepthwiseShape&, const DepthwiseForwardArgs&, ThreadPool&);
using DepthwiseDataGradient = void(const DepthwiseShape&, const DepthwiseDataGradientArgs&, ThreadPool&);
using DepthwiseWeightGradient = void(const DepthwiseShape&, const DepthwiseWeightGradientArgs&, ThreadPool&);

std::span<const Kernel<DepthwiseForward>> depthwise_forward_kernels();
std::span<const Kernel<DepthwiseDataGradient>> depthwise_data_gradient_kernels();
std::span<const Kernel<DepthwiseWeightGradient>> depthwise_weight_gradient_kernels();

/** Floats of scratch that any of the weight-gradient kernels needs; independent of the number of threads. */
std::size_t depthwise_weight_gradient_scratch(const DepthwiseShape&);

}  // namespace tvn
