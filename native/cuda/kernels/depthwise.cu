#include "cuda/kernels/depthwise.h"

#include <algorithm>
#include <type_traits>

#include "cuda/device/functions.h"
#include "cuda/device/half8.h"
#include "cuda/kernels/rows.h"

namespace tvn::cuda {
namespace {

// Forward and the data gradient: blocks are small, so that even a small map at batch 1 has one for every SM.
constexpr int threads = 64;
constexpr int sum_threads = 128;

/** Outputs along W that a thread computes; what it reads and converts is used for all of them. */
__host__ __device__ constexpr int outputs_of(int taps, int step) { return taps > 5 || step > 1 ? 2 : 4; }

/**
 * y[j] += Σ_i x[first + (j·Step + i)·spacing] · w[i·w_step] for eight channels, zeros outside of [0, extent). Every x is read and converted
 * once and meets all the outputs that it belongs to, every w is read once: with 3 taps of stride 1, 6 + 3 loads serve 12 products.
 */
template <int Taps, int Step, int Out>
__device__ __forceinline__ void convolve_row(float (&y)[Out][8], const half* x, int first, int spacing, int extent, int channels,
                                             const half* w, int w_step) {
  constexpr int positions = (Out - 1) * Step + Taps;
  Half8 x8[positions];
#pragma unroll
  for (int p = 0; p < positions; p++) {
    const int at = first + p * spacing;
    x8[p] = load8_or_zero(x + at * channels, static_cast<unsigned>(at) < static_cast<unsigned>(extent));
  }
  float taps[Taps][8];
#pragma unroll
  for (int i = 0; i < Taps; i++) load8(w + i * w_step, taps[i]);
#pragma unroll
  for (int p = 0; p < positions; p++) {
    float values[8];
    to_floats(x8[p], values);
#pragma unroll
    for (int j = 0; j < Out; j++) {
      const int i = p - j * Step;
      if (i < 0 || i >= Taps) continue;
#pragma unroll
      for (int k = 0; k < 8; k++) y[j][k] += values[k] * taps[i][k];
    }
  }
}

template <Function function, int Out>
__device__ __forceinline__ void apply_to(float (&y)[Out][8]) {
#pragma unroll
  for (int j = 0; j < Out; j++) {
#pragma unroll
    for (int i = 0; i < 8; i++) y[j][i] = apply(function, y[j][i]);
  }
}
/** One decision for all values. */
template <int Out>
__device__ __forceinline__ void apply_all(Function function, float (&y)[Out][8]) {
  switch (function) {
    case Function::none: return;
    case Function::relu: return apply_to<Function::relu>(y);
    case Function::hswish: return apply_to<Function::hswish>(y);
    case Function::sigmoid: return apply_to<Function::sigmoid>(y);
  }
}

/** Which part of the result a thread computes: n is the frame, t the row, h the group of outputs, w the vector of channels. */
PositionDivisor places(int rows, int groups, int vectors) { return {rows, groups, vectors}; }

/** Taps divides KW; where it is 1, any kernel and stride will do. */
template <int Taps, int Step>
__global__ void __launch_bounds__(threads, 8) forward_kernel(DepthwiseShape s, DepthwiseForwardArgs a, PositionDivisor split, int items) {
  constexpr int outputs = outputs_of(Taps, Step);
  const int item = static_cast<int>(blockIdx.x) * threads + static_cast<int>(threadIdx.x);
  if (item >= items) return;
  const Position place = split.split(item);
  const Window& k = s.window;
  const int channels = s.x.c, channel = place.w * vector_width, ow = place.h * outputs;

  float y[outputs][8] = {};
  if (a.bias) {
#pragma unroll
    for (int j = 0; j < outputs; j++) load8(a.bias + channel, y[j]);
  }
  for (int kh = 0; kh < k.kh; kh++) {
    const int h = place.t * k.sh + kh - k.ph;
    if (static_cast<unsigned>(h) >= static_cast<unsigned>(s.x.h)) continue;
    const half* row = a.x + (place.n * s.x.h + h) * s.x.w * channels + channel;
    for (int kw = 0; kw < k.kw; kw += Taps)
      convolve_row<Taps, Step, outputs>(y, row, ow * k.sw + kw - k.pw, Taps == 1 ? k.sw : 1, s.x.w, channels,
                                        a.w + (kh * k.kw + kw) * channels + channel, channels);
  }
  apply_all(a.function, y);
  half* to = a.y + ((place.n * s.y.h + place.t) * s.y.w + ow) * channels + channel;
#pragma unroll
  for (int j = 0; j < outputs; j++) {
    if (ow + j >= s.y.w) break;
    store8(to + j * channels, y[j]);
  }
}

/** dx[j] += Σ_i dy[first + j − i] · w[i·w_step] for `taps` taps, a multiple of Taps. */
template <int Taps, int Out>
__device__ __forceinline__ void gather_row(float (&dx)[Out][8], const half* dy, int first, int extent, int channels, const half* w,
                                           int w_step, int taps) {
  for (int last = Taps - 1; last < taps; last += Taps)
    convolve_row<Taps, 1, Out>(dx, dy, first - last, 1, extent, channels, w + last * w_step, -w_step);
}

/**
 * A block works on one phase of W: the positions w = i·SW + phase. Within a phase the gradient is a convolution of stride 1 with every
 * SW-th tap, ⌈KW/SW⌉ or ⌊KW/SW⌋ of them, so that no tap is looked at that does not fit. Taps is ⌈KW/SW⌉, or 1 for any number.
 */
template <int Taps>
__global__ void __launch_bounds__(threads, 8) data_gradient_kernel(DepthwiseShape s, DepthwiseDataGradientArgs a, PositionDivisor split,
                                                                   Divisor by_sh, Divisor by_sw, int phases, int items) {
  constexpr int outputs = outputs_of(Taps, 1);
  const int block = static_cast<int>(blockIdx.x) / phases, phase = static_cast<int>(blockIdx.x) - block * phases;
  const int item = block * threads + static_cast<int>(threadIdx.x);
  if (item >= items) return;
  const Position place = split.split(item);
  const Window& k = s.window;
  const int channels = s.x.c, channel = place.w * vector_width, first = place.h * outputs;
  const int shift = by_sw.quotient(phase + k.pw), kw = by_sw.remainder(phase + k.pw, shift);
  const int taps = kw < k.kw ? by_sw.quotient(k.kw - kw - 1) + 1 : 0;

  float dx[outputs][8] = {};
  int oh = by_sh.quotient(place.t + k.ph);
  for (int kh = by_sh.remainder(place.t + k.ph, oh); kh < k.kh && oh >= 0; kh += k.sh, oh--) {
    if (oh >= s.y.h) continue;
    const half* row = a.dy + (place.n * s.y.h + oh) * s.y.w * channels + channel;
    const half* w = a.w + (kh * k.kw + kw) * channels + channel;
    if (taps % Taps == 0) {
      gather_row<Taps>(dx, row, first + shift, s.y.w, channels, w, k.sw * channels, taps);
    } else if constexpr (Taps > 1) {
      gather_row<Taps - 1>(dx, row, first + shift, s.y.w, channels, w, k.sw * channels, taps);
    }
  }
#pragma unroll
  for (int j = 0; j < outputs; j++) {
    const int at = (first + j) * k.sw + phase;
    if (at >= s.x.w) break;
    half* to = a.dx + ((place.n * s.x.h + place.t) * s.x.w + at) * channels + channel;
    if (a.accumulate) {
      float before[8];
      load8(to, before);
#pragma unroll
      for (int i = 0; i < 8; i++) dx[j][i] += before[i];
    }
    store8(to, dx[j]);
  }
}

/** The sum over units of `outputs` positions of a row of y is cut into parts; a block sums one part for `Taps` taps of a row of the kernel.
 */
struct WeightGradientCut {
  Parts parts;
  Divisor by_group, by_row;
  int units, tap_groups;
};

/** blockIdx.x is the block of columns and the taps, neighbours of which read the same x and dy; blockIdx.y the part. */
template <int Taps, int Step>
__global__ void __launch_bounds__(sum_threads) weight_gradient_kernel(DepthwiseShape s, const half* __restrict__ x,
                                                                      const half* __restrict__ dy, WeightGradientCut cut, StoreSum write) {
  constexpr int outputs = outputs_of(Taps, Step), positions = (outputs - 1) * Step + Taps;
  const Window& k = s.window;
  const int channels = s.x.c, spacing = Taps == 1 ? k.sw : 1, part = static_cast<int>(blockIdx.y);
  const int column_block = static_cast<int>(blockIdx.x) / cut.tap_groups;
  const int first_tap = (static_cast<int>(blockIdx.x) - column_block * cut.tap_groups) * Taps, kh = first_tap / k.kw, kw = first_tap % k.kw;
  const PartRows units = PartRows::of<sum_threads>(cut.parts, column_block, part, cut.units, channels);

  float dw[Taps][8] = {};
  for (int unit = units.begin; unit < units.end; unit += units.step) {
    const int row = cut.by_group.quotient(unit), frame = cut.by_row.quotient(row);
    const int oh = cut.by_row.remainder(row, frame), h = oh * k.sh + kh - k.ph;
    if (static_cast<unsigned>(h) >= static_cast<unsigned>(s.x.h)) continue;
    const int ow = cut.by_group.remainder(unit, row) * outputs, first = ow * k.sw + kw - k.pw;
    const int met = (min(outputs, s.y.w - ow) - 1) * Step + Taps;  // positions of x that an output meets: what is behind may be NaN
    const half* from_x = x + (frame * s.x.h + h) * s.x.w * channels + units.channel;
    const half* from_dy = dy + (row * s.y.w + ow) * channels + units.channel;
    Half8 x8[positions];
    float d[outputs][8];
#pragma unroll
    for (int j = 0; j < outputs; j++) to_floats(load8_or_zero(from_dy + j * channels, ow + j < s.y.w), d[j]);
#pragma unroll
    for (int p = 0; p < positions; p++) {
      const int at = first + p * spacing;
      x8[p] = load8_or_zero(from_x + at * channels, p < met && static_cast<unsigned>(at) < static_cast<unsigned>(s.x.w));
    }
#pragma unroll
    for (int p = 0; p < positions; p++) {
      float values[8];
      to_floats(x8[p], values);
#pragma unroll
      for (int j = 0; j < outputs; j++) {
        const int i = p - j * Step;
        if (i < 0 || i >= Taps) continue;
#pragma unroll
        for (int c = 0; c < 8; c++) dw[i][c] += values[c] * d[j][c];
      }
    }
  }
#pragma unroll
  for (int i = 0; i < Taps; i++)
    write_column_sums<sum_threads>(dw[i], cut.parts, column_block, part * taps(k) + first_tap + i, channels, write);
}

/** The taps of a row of the kernel that forward and the weight gradient compute together. */
int unrolled_taps(const Window& k) { return k.sw <= 2 && (k.kw <= 5 || k.kw == 7) ? k.kw : 1; }
int unrolled_step(const Window& k) { return unrolled_taps(k) > 1 ? k.sw : 1; }

template <int N>
using Constant = std::integral_constant<int, N>;

/** f(taps, step), as constants. */
template <class F>
void with_instance(const Window& k, const F& f) {
  const auto with_step = [&](auto unrolled) { unrolled_step(k) == 2 ? f(unrolled, Constant<2>{}) : f(unrolled, Constant<1>{}); };
  switch (unrolled_taps(k)) {
    case 2: return with_step(Constant<2>{});
    case 3: return with_step(Constant<3>{});
    case 4: return with_step(Constant<4>{});
    case 5: return with_step(Constant<5>{});
    case 7: return with_step(Constant<7>{});
    default: return f(Constant<1>{}, Constant<1>{});
  }
}

WeightGradientCut cut_weight_gradient(const DepthwiseShape& s) {
  const int unrolled = unrolled_taps(s.window), groups = ceil_div(s.y.w, outputs_of(unrolled, unrolled_step(s.window)));
  WeightGradientCut cut;
  cut.units = s.y.n * s.y.t * s.y.h * groups;
  cut.tap_groups = taps(s.window) / unrolled;
  cut.parts = cut_rows(cut.tap_groups, cut.units, s.y.c, sum_threads, 4);
  cut.by_group = Divisor(std::max(1, groups));
  cut.by_row = Divisor(std::max(1, s.y.h));
  return cut;
}

template <int Taps, int Step>
void launch_forward(const DepthwiseShape& s, const DepthwiseForwardArgs& a, cudaStream_t stream) {
  const int vectors = s.y.c / vector_width, groups = ceil_div(s.y.w, outputs_of(Taps, Step));
  const int items = s.y.n * s.y.t * s.y.h * groups * vectors;
  if (items == 0) return;
  const auto kernel = forward_kernel<Taps, Step>;
  LAUNCH(kernel, ceil_div(items, threads), threads, 0, stream, s, a, places(s.y.h, groups, vectors), items);
}

template <int Taps>
void launch_data_gradient(const DepthwiseShape& s, const DepthwiseDataGradientArgs& a, cudaStream_t stream) {
  const int vectors = s.x.c / vector_width, phases = std::min(s.window.sw, s.x.w);
  const int groups = ceil_div(ceil_div(s.x.w, s.window.sw), outputs_of(Taps, 1));
  const int items = s.x.n * s.x.t * s.x.h * groups * vectors;
  if (items == 0) return;
  const auto kernel = data_gradient_kernel<Taps>;
  LAUNCH(kernel, ceil_div(items, threads) * phases, threads, 0, stream, s, a, places(s.x.h, groups, vectors), Divisor(s.window.sh),
         Divisor(s.window.sw), phases, items);
}

template <int Taps, int Step>
void launch_weight_gradient(const DepthwiseShape& s, const DepthwiseWeightGradientArgs& a, cudaStream_t stream) {
  const WeightGradientCut cut = cut_weight_gradient(s);
  const StoreSum write{a.dw, s.y.c}, store{a.workspace, s.y.c};
  const dim3 grid(static_cast<unsigned>(cut.parts.column_blocks * cut.tap_groups), static_cast<unsigned>(cut.parts.parts));
  const auto kernel = weight_gradient_kernel<Taps, Step>;
  LAUNCH(kernel, grid, sum_threads, 0, stream, s, a.x, a.dy, cut, cut.parts.parts == 1 ? write : store);
  if (cut.parts.parts > 1) launch_add_parts(1, cut.parts.parts, taps(s.window) * s.y.c, a.workspace, write, stream);
}

}  // namespace

void depthwise_forward(const DepthwiseShape& s, const DepthwiseForwardArgs& a, cudaStream_t stream) {
  with_instance(s.window, [&](auto unrolled, auto step) { launch_forward<unrolled.value, step.value>(s, a, stream); });
}

void depthwise_data_gradient(const DepthwiseShape& s, const DepthwiseDataGradientArgs& a, cudaStream_t stream) {
  switch (ceil_div(s.window.kw, s.window.sw)) {
    case 2: return launch_data_gradient<2>(s, a, stream);
    case 3: return launch_data_gradient<3>(s, a, stream);
    case 4: return launch_data_gradient<4>(s, a, stream);
    case 5: return launch_data_gradient<5>(s, a, stream);
    case 7: return launch_data_gradient<7>(s, a, stream);
    default: return launch_data_gradient<1>(s, a, stream);
  }
}

void depthwise_weight_gradient(const DepthwiseShape& s, const DepthwiseWeightGradientArgs& a, cudaStream_t stream) {
  if (s.y.c == 0) return;
  with_instance(s.window, [&](auto unrolled, auto step) { launch_weight_gradient<unrolled.value, step.value>(s, a, stream); });
}

size_t depthwise_weight_gradient_workspace(const DepthwiseShape& s) {
  return cut_weight_gradient(s).parts.workspace(1, taps(s.window) * s.y.c);
}

}  // namespace tvn::cuda
