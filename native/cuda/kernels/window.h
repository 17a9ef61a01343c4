// A pointwise convolution and the window of single channels that follows it, in one kernel: what lies between them stays on chip.
//
//   m = f(scale · (x·w + bias)),  y = g(window(m)),  window: a depthwise convolution (with bias), or max or average pooling of frames
//
// A block computes m for a small square of y's positions with the margin that their windows reach into, 64 channels of it; neighbouring
// squares compute their margins again, which costs less than writing and reading m where m is wide.
#pragma once

#include "cuda/kernels/conv.h"

namespace tvn::cuda {

struct WindowShape {
  Extents x, y;   // y.c = channels of m; x.t = y.t
  Window window;  // kt = st = 1, kh and kw at most 7
};

enum class WindowKind { depthwise, max, avg };

struct WindowArgs {
  const half* x;
  const half* w;       // [C][M]
  const float* bias;   // [M], or null
  const float* scale;  // [N][M], or null
  ConvGate gate = {};  // instead of a scale
  Function function;
  WindowKind kind;
  const half* filter = nullptr;        // depthwise: [KH·KW][M]
  const float* filter_bias = nullptr;  // depthwise: [M], or null
  Function filter_function = Function::none;
  half* y;
  float* mean = nullptr;  // [N][M]: of y over each clip, or null
  ConvWorkspace workspace = {};
};

/** Whether the kernel can do it: the window's reach fits into a tile. */
bool window_fits(const WindowShape&);
/**
 * Whether it should be faster than two kernels: the margins and unused rows of tiles cost less than a launch and the way through memory.
 * An estimate with the speeds of a device between V100 and H100, until it is measured.
 */
bool window_pays(const WindowShape&);
void window_forward(const WindowShape&, const WindowArgs&, cudaStream_t);
ConvWorkspaceSize window_workspace(const WindowShape&, bool mean);

}  // namespace tvn::cuda
