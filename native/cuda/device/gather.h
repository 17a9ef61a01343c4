// Which positions of a tensor the taps of a convolution read for a position of another: the rows of an implicit GEMM.
//
// Forward, row o reads x at o·stride − pad + tap. The data gradient's rows are the positions of x of one phase of the stride, which meet
// every stride-th tap only: row i of phase p reads dy at i + (p + pad − first tap) / stride − j for its j-th tap.
#pragma once

#include "cuda/device/divisor.h"
#include "cuda/kernels/shape.h"

namespace tvn::cuda {

/** Along one axis. */
struct GatherAxis {
  int multiply, offset;  // row i begins at i·multiply + offset
  int taps;              // how many it reads, from there
  int step;              // +1 or −1 a tap
  int first_weight, weight_step;
  int extent;  // of the tensor that is read
};

struct Gather {
  GatherAxis t, h, w;
  int channels;  // of a position that is read
  int kernel_h, kernel_w;
};

__host__ __device__ inline GatherAxis forward_axis(int taps, int stride, int pad, int extent) {
  return {stride, -pad, taps, 1, 0, 1, extent};
}

/** Of phase `phase` in [0, stride). */
__host__ __device__ inline GatherAxis gradient_axis(int phase, int taps, int stride, int pad, int extent) {
  const int first = (phase + pad) % stride;
  return {1, (phase + pad - first) / stride, first < taps ? (taps - first + stride - 1) / stride : 0, -1, first, stride, extent};
}

/** How many positions of an axis are of this phase. */
__host__ __device__ inline int phase_extent(int extent, int phase, int stride) {
  return phase < extent ? (extent - phase + stride - 1) / stride : 0;
}

/** Walks through the inner dimension of a GEMM, eight channels of one tap at a time. */
struct TapWalk {
  int channel, t, h, w;

  __device__ __forceinline__ void begin(const Gather& g, int vector) {
    const int vectors = g.channels / vector_width, taps_w = max(g.w.taps, 1), taps_h = max(g.h.taps, 1);
    const int tap = vector / vectors;
    channel = (vector - tap * vectors) * vector_width;
    w = tap % taps_w;
    h = tap / taps_w % taps_h;
    t = tap / taps_w / taps_h;
  }
  __device__ __forceinline__ void advance(const Gather& g, int vectors) {
    channel += vectors * vector_width;
    while (channel >= g.channels) {
      channel -= g.channels;
      if (++w < g.w.taps) continue;
      w = 0;
      if (++h < g.h.taps) continue;
      h = 0;
      t++;
    }
  }
  __device__ __forceinline__ bool in(const Gather& g) const { return t < g.t.taps; }
  /** The tap's place in the weights. */
  __device__ __forceinline__ int weight(const Gather& g) const {
    return ((g.t.first_weight + t * g.t.weight_step) * g.kernel_h + g.h.first_weight + h * g.h.weight_step) * g.kernel_w +
           g.w.first_weight + w * g.w.weight_step;
  }
};

/** Where a row of the GEMM looks: the position of its first tap, which may lie outside. */
struct GatherRow {
  int clip = -1;  // first position of the clip; −1: there is no such row
  int t = 0, h = 0, w = 0;

  __device__ __forceinline__ void set(const Gather& g, const Position& at) {
    clip = at.n * g.t.extent * g.h.extent * g.w.extent;
    t = at.t * g.t.multiply + g.t.offset;
    h = at.h * g.h.multiply + g.h.offset;
    w = at.w * g.w.multiply + g.w.offset;
  }
  /** The element that a tap reads; −1 in the padding. */
  __device__ __forceinline__ long long element(const Gather& g, const TapWalk& tap) const {
    const int at_t = t + tap.t * g.t.step, at_h = h + tap.h * g.h.step, at_w = w + tap.w * g.w.step;
    const bool inside = clip >= 0 && tap.in(g) && static_cast<unsigned>(at_t) < static_cast<unsigned>(g.t.extent) &&
                        static_cast<unsigned>(at_h) < static_cast<unsigned>(g.h.extent) &&
                        static_cast<unsigned>(at_w) < static_cast<unsigned>(g.w.extent);
    return inside ? static_cast<long long>(clip + (at_t * g.h.extent + at_h) * g.w.extent + at_w) * g.channels + tap.channel : -1;
  }
};

}  // namespace tvn::cuda
