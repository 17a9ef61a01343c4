// Convolutions on tensor cores: fp16 operands, f32 accumulation, implicit GEMM over NTHWC. Pointwise, spatial and temporal ones are the
// same kernel. Rows of the GEMM are positions of the output, its columns are output channels, and its inner dimension runs over taps and
// input channels, eight channels (16 bytes) at a time.
//
//   forward         y = f(scale · (x ∗ w + bias) + residual), or + (x₂ ∗ w₂ + bias₂) of a strided pointwise shortcut in place of a residual
//   data gradient   dx (+)= dy ∗ᵀ w, each phase of the stride a launch dimension of its own, so that no tap meets a zero
//   weight gradient dw = xᵀ ∗ dy, f32
//
// Weights are [KT·KH·KW·C][OC] with C and OC as stored; rows and columns of channels that are not there are zero. Where the grid would
// leave multiprocessors idle, the inner dimension is split among blocks; the one that arrives last adds the parts in their order, so that
// results have the same bits from run to run.
#pragma once

#include <cstddef>

#include "cuda/kernels/shape.h"

namespace tvn::cuda {

struct ConvShape {
  Extents x, y;
  Window window;
};

/** The tile of a block. All of them add the same products in the same order: only speed depends on it. */
enum class ConvBlock { rows128_columns64, rows64_columns64, rows32_columns64, rows64_columns32 };
constexpr int conv_block_count = 4;

/** A pointwise convolution of x with a stride, added to another one's result. */
struct ConvShortcut {
  const half* x = nullptr;  // null: there is none
  Extents extents = {};     // of x
  int stride[3] = {1, 1, 1};
  const half* w = nullptr;      // [C₂][OC]
  const float* bias = nullptr;  // [OC], or null
};

/** The last layer of a gate, computed by every tile for its own columns: scale = sigmoid(x·w + bias) · multiply. */
struct ConvGate {
  const float* x = nullptr;         // [N][inputs]; null: there is none
  int inputs = 0;                   // as stored
  const half* w = nullptr;          // [inputs][OC]
  const float* bias = nullptr;      // [OC], or null
  const float* multiply = nullptr;  // [N][OC], or null
};

/** Pooling over the frames of y, which is then written with `frames` frames; see pool.h. */
struct ConvPooling {
  Pooling pooling = Pooling::max;
  int kernel = 1, stride = 1, pad = 0;  // kernel 1: none
  int frames = 0;                       // of the result

  __host__ __device__ bool is_there() const { return frames > 0; }
  /** Of a clip of the result. */
  __host__ __device__ int positions(const Extents& y) const { return (is_there() ? frames : y.t) * y.h * y.w; }
};

/** For kernels whose blocks add up something together. */
struct ConvWorkspace {
  int* counters = nullptr;  // conv_forward_workspace's, zero before the first launch; every launch leaves them zero
  float* parts = nullptr;
};
struct ConvWorkspaceSize {
  int counters = 0;
  size_t parts = 0;  // bytes
};

struct ConvForwardArgs {
  const half* x;
  const half* w;
  const float* bias = nullptr;     // [OC], or null
  const float* scale = nullptr;    // [N][OC], or null
  ConvGate gate = {};              // instead of a scale
  const half* residual = nullptr;  // like y, or null
  ConvShortcut shortcut = {};      // instead of a residual
  Function function = Function::none;
  ConvPooling pooling = {};
  half* y = nullptr;  // one of y and y32
  float* y32 = nullptr;
  float* mean = nullptr;  // [N][OC]: the mean of what is written over each clip, or null
  ConvWorkspace workspace = {};
};

/** What decides how the work of conv_forward is cut, besides the shape. */
struct ConvUse {
  bool shortcut = false, mean = false, gate = false;
  int shortcut_channels = 0;  // as stored
  int pooled_frames = 0;      // of y, where they are pooled: at most 64
};

struct ConvDataGradientArgs {
  const half* dy;
  const half* w;
  bool accumulate;  // add to dx
  half* dx;
  ConvWorkspace workspace = {};
};

struct ConvWeightGradientArgs {
  const half* x;
  const half* dy;
  float* dw;         // [taps·C][OC], overwritten
  float* workspace;  // conv_weight_gradient_workspace bytes
};

void conv_forward(const ConvShape&, ConvBlock, const ConvForwardArgs&, cudaStream_t);
ConvWorkspaceSize conv_forward_workspace(const ConvShape&, const ConvUse&);
/** Whether this block will do: tiles that must not have rows of two clips have 64 rows. */
bool takes_block(ConvBlock, const ConvUse&);

/** For a result of so many rows and columns, where nothing is measured: few empty columns, and large tiles where there are enough of them.
 */
ConvBlock usual_block(int rows, int columns);

void conv_data_gradient(const ConvShape&, ConvBlock, const ConvDataGradientArgs&, cudaStream_t);
ConvWorkspaceSize conv_data_gradient_workspace(const ConvShape&);

void conv_weight_gradient(const ConvShape&, const ConvWeightGradientArgs&, cudaStream_t);
size_t conv_weight_gradient_workspace(const ConvShape&);

}  // namespace tvn::cuda
