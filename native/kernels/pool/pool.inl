// Pooling over Vec: channels in lanes. An axis that is not pooled is merged into the channels, so a temporal pool runs over whole frames.
#include <limits>

#include "core/simd/common.inl"
#include "kernels/pool/pool.h"

namespace tvn::TVN_ISA {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

/** The part of an axis that a window covers, padding left out. */
struct Range {
  int64_t begin, end;
};
inline Range covered(int64_t out, int64_t k, int64_t s, int64_t pad, int64_t n) {
  const int64_t begin = out * s - pad;
  return {larger(begin, 0), smaller(begin + k, n)};
}

constexpr bool is_whole(int64_t k, int64_t s, int64_t pad) { return k == 1 && s == 1 && pad == 0; }

/** The same pool with W, then H, as channels where the window does not touch them. */
PoolShape merge_axes(PoolShape s) {
  const Window& k = s.window;
  if (!is_whole(k.kw, k.sw, k.pw)) return s;
  s.x.c *= s.x.w;
  s.y.c *= s.y.w;
  s.x.w = s.y.w = 1;
  if (!is_whole(k.kh, k.sh, k.ph)) return s;
  s.x.c *= s.x.h;
  s.y.c *= s.y.h;
  s.x.h = s.y.h = 1;
  return s;
}

/** The elements of one window and channel. */
struct Box {
  Range t, h, w;
  int64_t frame, row, column;  // pitches in floats
  int64_t count() const { return (t.end - t.begin) * (h.end - h.begin) * (w.end - w.begin); }
};

/** Calls f(offset from the clip) in (kt, kh, kw) order. */
template <class F>
TVN_INLINE inline void for_each_element(const Box& box, const F& f) {
  for (int64_t t = box.t.begin; t < box.t.end; t++)
    for (int64_t h = box.h.begin; h < box.h.end; h++) {
      const int64_t row = t * box.frame + h * box.row;
      for (int64_t w = box.w.begin; w < box.w.end; w++) f(row + w * box.column);
    }
}

Box make_box(const PoolShape& s, int64_t ot, int64_t oh) {
  const Window& k = s.window;
  return {covered(ot, k.kt, k.st, k.pt, s.x.t), covered(oh, k.kh, k.sh, k.ph, s.x.h), {0, 0}, s.x.h * s.x.w * s.x.c, s.x.w * s.x.c, s.x.c};
}

/** Row (ot, oh) of y of one clip, channels [begin, end). */
template <Pooling pooling>
void forward_row(const PoolShape& s, const float* x, float* y, int64_t ot, int64_t oh, int64_t begin, int64_t end) {
  Box box = make_box(s, ot, oh);
  y += (ot * s.y.h + oh) * s.y.w * s.y.c;
  for (int64_t ow = 0; ow < s.y.w; ow++, y += s.y.c) {
    box.w = covered(ow, s.window.kw, s.window.sw, s.window.pw, s.x.w);
    const float share = 1.0f / static_cast<float>(box.count());
    for_vectors(begin, end, [&](int64_t c, auto mask) TVN_INLINE {
      Vec result = pooling == Pooling::max ? broadcast(-infinity) : zero();
      for_each_element(box, [&](int64_t i) TVN_INLINE {
        const Vec value = load(x + i + c, mask);
        // max gives its second operand when either is NaN: a NaN in `result` stays.
        result = pooling == Pooling::max ? select(is_nan(value), value, max(value, result)) : result + value;
      });
      store(y + c, pooling == Pooling::max ? result : result * broadcast(share), mask);
    });
  }
}

/**
 * Adds the gradients of the windows of row (ot, oh) of y to dx. Disjoint: no two windows share an element and dx is not added to,
 * so every element is written once.
 */
template <Pooling pooling, bool disjoint>
void backward_row(const PoolShape& s, const float* x, const float* y, const float* dy, float* dx, int64_t ot, int64_t oh, int64_t begin,
                  int64_t end) {
  Box box = make_box(s, ot, oh);
  int64_t at = (ot * s.y.h + oh) * s.y.w * s.y.c;
  for (int64_t ow = 0; ow < s.y.w; ow++, at += s.y.c) {
    box.w = covered(ow, s.window.kw, s.window.sw, s.window.pw, s.x.w);
    const float share = 1.0f / static_cast<float>(box.count());
    for_vectors(begin, end, [&](int64_t c, auto mask) TVN_INLINE {
      const auto add = [&](int64_t i, Vec gradient)
                           TVN_INLINE { store(dx + i + c, disjoint ? gradient : load(dx + i + c, mask) + gradient, mask); };
      Vec left = load(dy + at + c, mask);  // what no element has taken yet
      if constexpr (pooling == Pooling::max) {
        const Vec largest = load(y + at + c, mask);
        for_each_element(box, [&](int64_t i) TVN_INLINE {
          const Compare less = greater(largest, load(x + i + c, mask));
          add(i, select(less, zero(), left));
          left = select(less, left, zero());
        });
      } else {
        left = left * broadcast(share);
        for_each_element(box, [&](int64_t i) TVN_INLINE { add(i, left); });
      }
    });
  }
}

constexpr int64_t channel_block = 2048;  // a few frames of it stay in a near cache

}  // namespace

void pool_forward(const PoolShape& shape, const PoolForwardArgs& a, ThreadPool& pool) {
  const PoolShape s = merge_axes(shape);
  const int64_t rows = s.y.t * s.y.h, blocks = ceil_div(s.y.c, channel_block);
  const int64_t clip_x = s.x.t * s.x.h * s.x.w * s.x.c, clip_y = rows * s.y.w * s.y.c;
  const auto run = s.pooling == Pooling::max ? forward_row<Pooling::max> : forward_row<Pooling::avg>;
  pool.run(s.y.n * rows * blocks, [&](int64_t task, int) {
    const int64_t clip = task / (rows * blocks), row = task / blocks % rows, begin = task % blocks * channel_block;
    run(s, a.x + clip * clip_x, a.y + clip * clip_y, row / s.y.h, row % s.y.h, begin, smaller(begin + channel_block, s.y.c));
  });
}

void pool_backward(const PoolShape& shape, const PoolBackwardArgs& a, ThreadPool& pool) {
  const PoolShape s = merge_axes(shape);
  const Window& k = s.window;
  const bool apart = k.kt <= k.st && k.kh <= k.sh && k.kw <= k.sw;
  const auto covers = [](int64_t n, int64_t out, int64_t window, int64_t stride, int64_t pad) {
    return window >= stride && (out - 1) * stride - pad + window >= n;
  };
  const bool all =
      covers(s.x.t, s.y.t, k.kt, k.st, k.pt) && covers(s.x.h, s.y.h, k.kh, k.sh, k.ph) && covers(s.x.w, s.y.w, k.kw, k.sw, k.pw);
  const bool disjoint = apart && !a.accumulate;
  const auto run = s.pooling == Pooling::max ? (disjoint ? backward_row<Pooling::max, true> : backward_row<Pooling::max, false>)
                                             : (disjoint ? backward_row<Pooling::avg, true> : backward_row<Pooling::avg, false>);
  // No two tasks write the same element: a task has a clip, or a frame where the window is one frame deep, and some of the channels.
  const bool by_frame = is_whole(k.kt, k.st, k.pt);
  const int64_t frames_x = by_frame ? 1 : s.x.t, frames_y = by_frame ? 1 : s.y.t, units = by_frame ? s.x.n * s.x.t : s.x.n;
  PoolShape unit = s;
  unit.x.t = frames_x;
  unit.y.t = frames_y;
  const int64_t positions = frames_x * s.x.h * s.x.w, unit_x = positions * s.x.c, unit_y = frames_y * s.y.h * s.y.w * s.y.c;
  const int64_t block = units < 8 ? 64 : channel_block, blocks = ceil_div(s.x.c, block);
  pool.run(units * blocks, [&](int64_t task, int) {
    const int64_t u = task / blocks, begin = task % blocks * block, end = smaller(begin + block, s.x.c);
    float* const dx = a.dx + u * unit_x;
    if (!a.accumulate && !(disjoint && all))
      for (int64_t p = 0; p < positions; p++)
        for_vectors(begin, end, [&](int64_t c, auto mask) { store(dx + p * s.x.c + c, zero(), mask); });
    const int64_t y = u * unit_y;
    const bool is_max = s.pooling == Pooling::max;
    for (int64_t ot = 0; ot < frames_y; ot++)
      for (int64_t oh = 0; oh < s.y.h; oh++)
        run(unit, is_max ? a.x + u * unit_x : nullptr, is_max ? a.y + y : nullptr, a.dy + y, dx, ot, oh, begin, end);
  });
}

}  // namespace tvn::TVN_ISA
