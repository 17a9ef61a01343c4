// Where the positions of a convolution read and write: axes, blocks of positions, and the padded copy of what a block reads. Tensors
// have floats, copies have words (core/simd/words_*.inl).
#include <cstring>

#include "kernels/conv/conv.h"

namespace tvn::TVN_ISA {
namespace {

constexpr int64_t block_words = 64 << 10;  // of input under a block, which with its weights should stay in L2
/** `usual`, in blocks of a chosen size. */
constexpr int64_t scaled(int64_t usual, const Tiling& tiling) { return tiling.block < 0 ? usual >> -tiling.block : usual << tiling.block; }

/** Output o of an axis reads inputs o·stride − pad + [0, taps) and lands at first + o·step of `target`. pad may be negative. */
struct Axis {
  int64_t in, out, taps, stride, pad;
  int64_t target, first, step;
};

constexpr Axis copied_axis(int64_t n) { return {n, n, 1, 1, 0, n, 0, 1}; }

constexpr bool is_copied(const Axis& a) {
  return a.taps == 1 && a.stride == 1 && a.pad == 0 && a.in == a.out && a.target == a.out && a.first == 0 && a.step == 1;
}

/** Inputs under `outputs` consecutive outputs. */
constexpr int64_t extent(const Axis& a, int64_t outputs) { return (outputs - 1) * a.stride + larger(a.taps, 1); }

/** Whether a view has only those inputs that are read, instead of all of them: where a copy is needed anyway and a stride skips some. */
constexpr bool is_picked(const Axis& a) { return converts && a.taps <= 1; }
constexpr int64_t view_extent(const Axis& a, int64_t outputs) { return is_picked(a) ? outputs : extent(a, outputs); }

/** What the three passes come down to: a convolution whose results land on a grid in their tensor. */
struct Problem {
  int64_t n;
  Axis t, h, w;
  int64_t c, oc;
  Tiling tiling = {};
};

constexpr int64_t taps(const Problem& p) { return p.t.taps * p.h.taps * p.w.taps; }
constexpr int64_t depth(const Problem& p) { return taps(p) * p.c; }  // K: terms of one result
constexpr int64_t positions(const Problem& p) { return p.n * p.t.out * p.h.out * p.w.out; }

/** Joins axes along which nothing is mixed, so that pointwise and temporal convolutions have long rows; with `clips`, those stay apart. */
constexpr Problem flatten(Problem p, bool clips = false) {
  if (is_copied(p.t) && !clips) {
    p.t = copied_axis(p.n * p.t.in);
    p.n = 1;
  }
  const auto join = [](Axis& outer, Axis& inner) {
    if (!is_copied(outer) || !is_copied(inner)) return;
    inner = copied_axis(outer.in * inner.in);
    outer = copied_axis(1);
  };
  join(p.t, p.h);
  join(p.h, p.w);
  return p;
}

constexpr Problem unflattened_problem(const ConvShape& s) {
  const auto axis = [](int64_t in, int64_t out, int taps, int stride, int64_t pad) { return Axis{in, out, taps, stride, pad, out, 0, 1}; };
  const Window& k = s.window;
  return {s.x.n,
          axis(s.x.t, s.y.t, k.kt, k.st, k.pt),
          axis(s.x.h, s.y.h, k.kh, k.sh, k.ph),
          axis(s.x.w, s.y.w, k.kw, k.sw, k.pw),
          s.x.c,
          s.y.c,
          s.tiling};
}
constexpr Problem forward_problem(const ConvShape& s, bool clips = false) { return flatten(unflattened_problem(s), clips); }

/** A box of output positions. */
struct Block {
  int64_t n;
  struct Range {
    int64_t begin, size;
  } t, h, w;
};
constexpr int64_t positions(const Block& b) { return b.t.size * b.h.size * b.w.size; }

/** The cut of all positions into blocks, axis by axis into parts of nearly equal size. */
struct Grid {
  int64_t t, h, w;    // parts
  int64_t positions;  // of the largest block
};
constexpr int64_t blocks(const Problem& p, const Grid& g) { return p.n * g.t * g.h * g.w; }

constexpr Block block(const Problem& p, const Grid& g, int64_t i) {
  const auto range = [](const Axis& a, int64_t parts, int64_t part) {
    const int64_t begin = a.out * part / parts;
    return Block::Range{begin, a.out * (part + 1) / parts - begin};
  };
  return {i / (g.t * g.h * g.w), range(p.t, g.t, i / (g.h * g.w) % g.t), range(p.h, g.h, i / g.w % g.h), range(p.w, g.w, i % g.w)};
}

/**
 * Blocks of at most `max_positions` positions that read at most `max_words` of input (but at least one window). Starting from one
 * position, the axis whose halo shrinks most grows while it fits: what blocks read in common is read least often.
 */
inline Grid cut(const Problem& p, int64_t max_positions, int64_t max_words) {
  if (positions(p) == 0) return {};
  const Axis* axes[] = {&p.w, &p.h, &p.t};
  int64_t size[] = {1, 1, 1};
  const auto product = [&](auto f) { return f(0) * f(1) * f(2); };
  for (;;) {
    int best = -1;
    double least = __builtin_inf();
    int64_t to = 0;
    for (const int64_t half_steps : {2, 1}) {  // doubles, or adds a half where that is too much
      for (int i = 0; i < 3; i++) {
        const int64_t grown = smaller(size[i] + ceil_div(size[i] * half_steps, 2), axes[i]->out);
        if (grown == size[i]) continue;
        const auto with = [&](int j) { return j == i ? grown : size[j]; };
        if (product(with) > max_positions || product([&](int j) { return view_extent(*axes[j], with(j)); }) * words(p.c) > max_words)
          continue;
        const double before = static_cast<double>(extent(*axes[i], size[i])) / static_cast<double>(size[i]);
        const double halo = static_cast<double>(extent(*axes[i], grown)) / static_cast<double>(grown) / before;
        if (halo < least) {
          least = halo;
          best = i;
          to = grown;
        }
      }
      if (best >= 0) break;
    }
    if (best < 0) break;
    size[best] = to;
  }
  Grid g{ceil_div(p.t.out, size[2]), ceil_div(p.h.out, size[1]), ceil_div(p.w.out, size[0]), 0};
  g.positions = ceil_div(p.t.out, g.t) * ceil_div(p.h.out, g.h) * ceil_div(p.w.out, g.w);
  return g;
}

/** The input under a block, distances in words. Window (kt, kh, ·) of a position is one run of w.taps·words(c) words. */
struct View {
  const float* origin;
  int64_t pitch_t, pitch_h;        // from one tap to the next
  int64_t step_t, step_h, step_w;  // from one position to the next
};

/**
 * Words from one pixel of a copy to the next. Pixels 4 KB apart would share the sets of the L1 cache, and a tile reads many at once;
 * rows of one pixel can be spread.
 */
constexpr int64_t copy_pitch(const Problem& p) { return words(p.c) + (p.w.taps == 1 && words(p.c) % 1024 == 0 ? 16 : 0); }

/** Whether any block needs a copy. */
constexpr bool needs_copy(const Problem& p) {
  const auto inside = [](const Axis& a) { return a.pad == 0 && extent(a, a.out) <= a.in; };
  return converts || !inside(p.t) || !inside(p.h) || !inside(p.w) || copy_pitch(p) != p.c;
}

/** The view of a block: x itself where it holds words and all of it lies inside and is well spaced, else a copy with zeros for padding. */
inline View view(const Problem& p, const Block& b, const float* x, float* copy) {
  const int64_t pitch_h = p.w.in * p.c, pitch_t = p.h.in * pitch_h;
  const float* image = x + b.n * p.t.in * pitch_t;
  struct Span {
    int64_t begin, every, size;  // inputs begin + i·every, i < size
    int64_t first, last;         // of i: the part inside x
  };
  const auto span = [](const Axis& a, Block::Range r) {
    const int64_t begin = r.begin * a.stride - a.pad, every = is_picked(a) ? a.stride : 1, size = view_extent(a, r.size);
    const auto up_to = [&](int64_t input) { return begin < input ? smaller(ceil_div(input - begin, every), size) : 0; };
    return Span{begin, every, size, up_to(0), up_to(a.in)};
  };
  const Span t = span(p.t, b.t), h = span(p.h, b.h), w = span(p.w, b.w);
  const auto inside = [](const Span& s) { return s.last - s.first == s.size; };
  const int64_t pitch = copy_pitch(p), width = w.size * pitch;
  const auto view_of = [&](const float* origin, int64_t view_pitch_t, int64_t view_pitch_h, int64_t view_pitch_w) {
    const auto step = [](const Axis& a, const Span& s, int64_t view_pitch) { return a.stride / s.every * view_pitch; };
    return View{origin, view_pitch_t, view_pitch_h, step(p.t, t, view_pitch_t), step(p.h, h, view_pitch_h), step(p.w, w, view_pitch_w)};
  };
  if (!converts && inside(t) && inside(h) && inside(w) && pitch == p.c)
    return view_of(image + t.begin * pitch_t + h.begin * pitch_h + w.begin * p.c, pitch_t, pitch_h, p.c);

  const auto clear = [](float* at, int64_t count) { std::memset(at, 0, static_cast<std::size_t>(count) * sizeof(float)); };
  const int64_t before = w.first * pitch, count = w.last - w.first, end = w.last * pitch;
  const bool one_run = pitch * channels_per_word == p.c && w.every == 1;
  float* to = copy;
  for (int64_t i = 0; i < t.size; i++)
    for (int64_t j = 0; j < h.size; j++, to += width) {
      if (i < t.first || i >= t.last || j < h.first || j >= h.last) {
        clear(to, width);
        continue;
      }
      const float* from =
          image + (t.begin + i * t.every) * pitch_t + (h.begin + j * h.every) * pitch_h + (w.begin + w.first * w.every) * p.c;
      clear(to, before);
      if (one_run)
        to_words(to + before, from, count * p.c);
      else
        for (int64_t k = 0; k < count; k++) to_words(to + before + k * pitch, from + k * w.every * p.c, p.c);
      clear(to + end, width - end);
    }
  return view_of(copy, h.size * width, width, pitch);
}

/** Where the positions of a block, in order, read (from the view's origin, in words) and write (from the start of the target, in floats).
 */
inline void offsets(const Problem& p, const Block& b, const View& v, int64_t* __restrict read, int64_t* __restrict write) {
  const int64_t write_step = p.w.step * p.oc, size = b.w.size;
  for (int64_t t = 0; t < b.t.size; t++)
    for (int64_t h = 0; h < b.h.size; h++) {
      const int64_t from = t * v.step_t + h * v.step_h;
      const int64_t frame = b.n * p.t.target + p.t.first + (b.t.begin + t) * p.t.step;
      const int64_t row = frame * p.h.target + p.h.first + (b.h.begin + h) * p.h.step;
      const int64_t to = (row * p.w.target + p.w.first + b.w.begin * p.w.step) * p.oc;
      for (int64_t w = 0; w < size; w++) {
        read[w] = from + w * v.step_w;
        write[w] = to + w * write_step;
      }
      read += size;
      write += size;
    }
}

}  // namespace
}  // namespace tvn::TVN_ISA
