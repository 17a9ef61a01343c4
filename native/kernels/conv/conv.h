// Dense convolution: pointwise, spatial and temporal are one op.
//
//   y[n,ot,oh,ow,oc] = f(residual[…] + scale[n,oc] · (bias[oc] + Σ x[n, ot·ST+kt−PT, oh·SH+kh−PH, ow·SW+kw−PW, c] · w[kt,kh,kw,c,oc]))
//
// over the taps that fall inside x. x, y, dx, dy are NTHWC, w is [KT,KH,KW,C,OC], all f32, none overlap. Every element of a
// result is summed in an order that depends on the shape alone, so results are bit-identical for any number of threads.
// bf16 kernels round x and w to bf16 and sum in f32.
// A kernel is made of four functions because weights are packed once (per step in training) and scratch is planned ahead.
// Sizes are in floats; `scratch` is aligned to a cache line.
#pragma once

#include <cstddef>
#include <span>

#include "core/enums.h"
#include "core/isa.h"
#include "core/kernel_list.h"
#include "core/shape.h"
#include "core/thread_pool.h"
#include "core/tiling.h"

namespace tvn {

struct ConvShape {
  Shape x, y;
  Window window;
  Tiling tiling = {};  // one of the kernel's; those of the weight gradient are alike
};

struct ConvForwardArgs {
  const float* x;
  const float* packed;    // from ConvKernel::pack
  const float* bias;      // [OC], or null
  const float* residual;  // as y, or null
  Function function;
  float* y;
  float* scratch;
  const float* scale = nullptr;  // [N,OC], or null for ones
};

/** dx (+)= gradient with respect to x. */
struct ConvDataGradientArgs {
  const float* dy;
  const float* packed;
  bool accumulate;  // add to dx instead of overwriting it
  float* dx;
  float* scratch;
};

/** dw = gradient with respect to w, db = Σ dy over positions. Sums over positions go through a fixed tree of chunks. */
struct ConvWeightGradientArgs {
  const float* x;
  const float* dy;
  float* dw;
  float* db;  // [OC], or null
  float* scratch;
};

template <class Args>
struct ConvKernel {
  const char* name;
  Isa isa;
  std::size_t (*packed_size)(const ConvShape&);  // 0 for the weight gradient, whose pack is null
  void (*pack)(const ConvShape&, const float* w, float* packed, ThreadPool&);
  std::size_t (*scratch_size)(const ConvShape&, int threads);
  void (*run)(const ConvShape&, const Args&, ThreadPool&);
  bool (*supports)(const ConvShape&) = nullptr;         // null: every shape
  bool (*pays)(const ConvShape&, Precision) = nullptr;  // of the supported shapes, those where it is the kernel to choose; null: all
  Precision precision = Precision::f32;                 // bf16: x and w are rounded to it; f32 kernels serve bf16 where they pay
  int row_unit = 1;  // rows of y that begin at a multiple of it have the same bits if computed alone; 0: rows are not computed alone
  std::span<const Tiling> tilings = {};  // to choose from, besides the usual one
};

/** TVN_CONVOLUTION=direct: neither Winograd nor Strassen anywhere. */
bool direct_only();

/** The first kernel of a list that is allowed and pays; the last one always does. */
template <class K, class S>
const K& select(std::span<const K> list, Isa allowed, const S& shape, Precision precision = Precision::f32) {
  for (const K& kernel : list)
    if (kernel.isa <= allowed && kernel.precision <= precision && (!kernel.pays || kernel.pays(shape, precision))) return kernel;
  return list.back();
}

/** Two pointwise convolutions that meet in a sum, the end of a block with a shortcut: y = f(scale · (bias + Σ x·w) + bias₂ + Σ x₂·w₂). */
struct ConvSumShape {
  ConvShape expand, shortcut;  // with the same y
};

struct ConvSumArgs {
  const float* x;
  const float* packed;  // from ConvSumKernel::pack of expand
  const float* bias;    // [OC], or null
  const float* scale;   // [N,OC], or null
  const float* shortcut_x;
  const float* shortcut_packed;
  const float* shortcut_bias;  // [OC], or null
  Function function;
  float* y;
  float* scratch;
};

struct ConvSumKernel {
  const char* name;
  Isa isa;
  std::size_t (*packed_size)(const ConvShape&);
  void (*pack)(const ConvShape&, const float* w, float* packed, ThreadPool&);
  std::size_t (*scratch_size)(const ConvSumShape&, int threads);
  void (*run)(const ConvSumShape&, const ConvSumArgs&, ThreadPool&);
  bool (*pays)(const ConvSumShape&, Precision) = nullptr;  // null: always
  Precision precision = Precision::f32;
  int row_unit = 1;                      // as in ConvKernel
  std::span<const Tiling> tilings = {};  // as in ConvKernel; that of `expand` counts
};

std::span<const ConvSumKernel> conv_sum_kernels();
std::span<const ConvKernel<ConvForwardArgs>> conv_forward_kernels();
std::span<const ConvKernel<ConvDataGradientArgs>> conv_data_gradient_kernels();
std::span<const ConvKernel<ConvWeightGradientArgs>> conv_weight_gradient_kernels();

}  // namespace tvn
