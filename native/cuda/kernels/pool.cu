#include "cuda/kernels/pool.h"

#include <algorithm>
#include <cmath>

#include "cuda/device/divisor.h"
#include "cuda/device/half8.h"

namespace tvn::cuda {
namespace {

constexpr int threads = 128;
/** Elements of a row of a window that are loaded together. */
constexpr int batch = 3;

/** Taps of a window that begins at `first` which lie within [0, extent). */
struct Range {
  int begin, end;
};
__device__ __forceinline__ Range real_taps(int first, int taps, int extent) { return {max(0, -first), min(taps, extent - first)}; }

struct alignas(16) Winners {
  uint16_t taps[8];
};
__device__ __forceinline__ Winners load_winners(const uint16_t* from) {
  Winners winners;
  *reinterpret_cast<uint4*>(&winners) = *reinterpret_cast<const uint4*>(from);
  return winners;
}
__device__ __forceinline__ void store_winners(uint16_t* to, const int (&taps)[8]) {
  const auto pair = [&](int i) { return static_cast<unsigned>(taps[i]) | static_cast<unsigned>(taps[i + 1]) << 16; };
  *reinterpret_cast<uint4*>(to) = make_uint4(pair(0), pair(2), pair(4), pair(6));
}

/** A thread an output vector, in order, so that overlapping windows find their elements in the L1 cache. */
template <Pooling pooling, bool keep_winners>
__global__ void __launch_bounds__(threads, 8)
    forward_kernel(PoolShape s, Divisor by_vector, PositionDivisor split, int items, const half* __restrict__ x, half* __restrict__ y,
                   uint16_t* __restrict__ winners) {
  const int item = static_cast<int>(blockIdx.x) * threads + static_cast<int>(threadIdx.x);
  if (item >= items) return;
  const int position = by_vector.quotient(item), channel = by_vector.remainder(item, position) * vector_width, channels = s.x.c;
  const Position o = split.split(position);
  const Window& k = s.window;
  const int t = o.t * k.st - k.pt, h = o.h * k.sh - k.ph, w = o.w * k.sw - k.pw;
  const Range in_t = real_taps(t, k.kt, s.x.t), in_h = real_taps(h, k.kh, s.x.h), in_w = real_taps(w, k.kw, s.x.w);

  float result[8];
  int winner[8];
#pragma unroll
  for (int i = 0; i < 8; i++) {
    result[i] = pooling == Pooling::max ? -INFINITY : 0;
    winner[i] = (in_t.begin * k.kh + in_h.begin) * k.kw + in_w.begin;
  }
  for (int kt = in_t.begin; kt < in_t.end; kt++)
    for (int kh = in_h.begin; kh < in_h.end; kh++) {
      const half* row = x + (((o.n * s.x.t + t + kt) * s.x.h + h + kh) * s.x.w + w) * channels + channel;
      const int first_tap = (kt * k.kh + kh) * k.kw;
      for (int first = in_w.begin; first < in_w.end; first += batch) {
        Half8 x8[batch];
#pragma unroll
        for (int b = 0; b < batch; b++) x8[b] = load8_or_zero(row + (first + b) * channels, first + b < in_w.end);
#pragma unroll
        for (int b = 0; b < batch; b++) {
          float values[8];
          to_floats(x8[b], values);
#pragma unroll
          for (int i = 0; i < 8; i++) {
            if (pooling == Pooling::avg) {
              result[i] += values[i];
            } else {
              // NaN wins, and stays
              const bool wins = (first + b < in_w.end) & !(values[i] <= result[i]) & (result[i] == result[i]);
              result[i] = wins ? values[i] : result[i];
              winner[i] = wins ? first_tap + first + b : winner[i];
            }
          }
        }
      }
    }
  if (pooling == Pooling::avg) {
    const float share = 1.0f / static_cast<float>((in_t.end - in_t.begin) * (in_h.end - in_h.begin) * (in_w.end - in_w.begin));
#pragma unroll
    for (int i = 0; i < 8; i++) result[i] *= share;
  }
  store8(y + position * channels + channel, result);
  if (keep_winners) store_winners(winners + position * channels + channel, winner);
}

/** Positions of y whose windows hold position `at` of x: begin to end, which see it with the taps first_tap, first_tap − stride, … */
struct Windows {
  int begin, end, first_tap;
};
__device__ __forceinline__ Windows windows_of(int at, int taps, int stride, int pad, int outputs, const Divisor& by_stride) {
  const int padded = at + pad, begin = padded < taps ? 0 : by_stride.quotient(padded - taps) + 1;
  return {begin, min(outputs, by_stride.quotient(padded) + 1), padded - begin * stride};
}

__device__ __forceinline__ int real_size(int o, int taps, int stride, int pad, int extent) {
  const Range in = real_taps(o * stride - pad, taps, extent);
  return in.end - in.begin;
}

struct Strides {
  Divisor t, h, w;
};

/** A thread an element vector of dx; neighbours read the same windows. */
template <Pooling pooling>
__global__ void __launch_bounds__(threads, 8)
    backward_kernel(PoolShape s, PoolBackwardArgs a, Divisor by_vector, PositionDivisor split, Strides by, int items) {
  const int item = static_cast<int>(blockIdx.x) * threads + static_cast<int>(threadIdx.x);
  if (item >= items) return;
  const int position = by_vector.quotient(item), channel = by_vector.remainder(item, position) * vector_width, channels = s.x.c;
  const Position p = split.split(position);
  const Window& k = s.window;
  const Windows in_t = windows_of(p.t, k.kt, k.st, k.pt, s.y.t, by.t), in_h = windows_of(p.h, k.kh, k.sh, k.ph, s.y.h, by.h),
                in_w = windows_of(p.w, k.kw, k.sw, k.pw, s.y.w, by.w);

  float dx[8] = {};
  if (a.accumulate) load8(a.dx + item * vector_width, dx);
  for (int ot = in_t.begin, kt = in_t.first_tap; ot < in_t.end; ot++, kt -= k.st)
    for (int oh = in_h.begin, kh = in_h.first_tap; oh < in_h.end; oh++, kh -= k.sh) {
      const int row = ((p.n * s.y.t + ot) * s.y.h + oh) * s.y.w;
      const int plane = real_size(ot, k.kt, k.st, k.pt, s.x.t) * real_size(oh, k.kh, k.sh, k.ph, s.x.h);
      for (int ow = in_w.begin, kw = in_w.first_tap; ow < in_w.end; ow++, kw -= k.sw) {
        const int at = (row + ow) * channels + channel;
        float d[8];
        load8(a.dy + at, d);
        if (pooling == Pooling::max) {
          const Winners winners = load_winners(a.winners + at);
          const int tap = (kt * k.kh + kh) * k.kw + kw;
#pragma unroll
          for (int i = 0; i < 8; i++) dx[i] += winners.taps[i] == tap ? d[i] : 0;
        } else {
          const float share = __fdividef(1.0f, static_cast<float>(plane * real_size(ow, k.kw, k.sw, k.pw, s.x.w)));
#pragma unroll
          for (int i = 0; i < 8; i++) dx[i] += d[i] * share;
        }
      }
    }
  store8(a.dx + item * vector_width, dx);
}

int items_of(const Extents& e) { return e.rows() * (e.c / vector_width); }
Divisor by_vector_of(const Extents& e) { return Divisor(std::max(1, e.c / vector_width)); }
PositionDivisor split_of(const Extents& e) { return {std::max(1, e.t), std::max(1, e.h), std::max(1, e.w)}; }

}  // namespace

void pool_forward(const PoolShape& s, const PoolForwardArgs& a, cudaStream_t stream) {
  const int items = items_of(s.y);
  if (items == 0) return;
  const auto kernel = s.pooling == Pooling::avg ? forward_kernel<Pooling::avg, false>
                      : a.winners               ? forward_kernel<Pooling::max, true>
                                                : forward_kernel<Pooling::max, false>;
  LAUNCH(kernel, ceil_div(items, threads), threads, 0, stream, s, by_vector_of(s.y), split_of(s.y), items, a.x, a.y, a.winners);
}

void pool_backward(const PoolShape& s, const PoolBackwardArgs& a, cudaStream_t stream) {
  const int items = items_of(s.x);
  if (items == 0) return;
  const auto kernel = s.pooling == Pooling::max ? backward_kernel<Pooling::max> : backward_kernel<Pooling::avg>;
  const Strides by{Divisor(s.window.st), Divisor(s.window.sh), Divisor(s.window.sw)};
  LAUNCH(kernel, ceil_div(items, threads), threads, 0, stream, s, a, by_vector_of(s.x), split_of(s.x), by, items);
}

}  // namespace tvn::cuda
