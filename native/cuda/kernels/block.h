// The fused (2+1)D block: a spatial convolution of frames, taps over time, a pointwise convolution. What lies between them stays on chip.
//
//   s = f₁(scale · (spatial(x) + bias))      dense (pointwise ones too) or depthwise
//   t = f₂(temporal(s) + bias), or a pool    convolution over time, max, average, or nothing
//   y = f₃(t·w + bias)                       pointwise, or nothing
//
// A block of threads owns a few places of the frame through all of time, and all channels of s and t there, in shared memory as halves,
// rounded as the tensors would be. So it is for blocks of few channels with many positions, which is where the memory's time goes: the rule
// is that everything fits into 47 KiB, which leaves room for two blocks on a V100's multiprocessor.
#pragma once

#include "cuda/kernels/conv.h"

namespace tvn::cuda {

enum class TemporalKind { none, conv, max, avg };

struct BlockShape {
  Extents x;
  Window spatial;  // kt = st = 1
  bool depthwise;
  Extents s;  // after the spatial convolution
  TemporalKind temporal;
  int kernel, stride, pad, frames;  // over time; the frames that it leaves
  int channels;                     // after it, as stored; those of s unless it is a convolution
  bool expands;
  Extents y;
};

struct BlockStage {
  const half* w = nullptr;
  const float* bias = nullptr;  // or null
  Function function = Function::none;
};

struct BlockArgs {
  const half* x;
  BlockStage spatial, temporal, expand;
  const float* scale = nullptr;  // of the spatial convolution's channels, [N][S]; or a gate
  ConvGate gate = {};
  half* y;
  float* mean = nullptr;  // [N][C of y], or null
  ConvWorkspace workspace = {};
};

/** Whether a block's data fits on chip. */
bool block_fits(const BlockShape&);
/** Whether it should be faster than kernels of its parts: enough blocks to keep multiprocessors busy, or so little to do that launches
 * count. */
bool block_pays(const BlockShape&);
void block_forward(const BlockShape&, const BlockArgs&, cudaStream_t);
ConvWorkspaceSize block_workspace(const BlockShape&, bool mean);

}  // namespace tvn::cuda
