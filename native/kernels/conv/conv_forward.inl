// Forward pass and data gradient. Both are `correlate`: the data gradient is a convolution of dy with the transposed weights, and
// with stride S it falls into S independent ones per axis, each of which computes every S-th element of dx from its share of the taps.

namespace tvn::TVN_ISA {
namespace {

constexpr int64_t most_positions = 384;    // of a block
constexpr int64_t block_floats = 64 << 10;  // of input under a block, which with its weights should stay in L2

/** Columns of a matrix cut into panels of nearly the same number of vectors. */
struct Panel {
  int64_t first, vectors;
};
constexpr int64_t vectors(int64_t columns) { return ceil_div(columns, lanes); }
constexpr int64_t panels(int64_t columns, int64_t most = widest) { return ceil_div(vectors(columns), most); }
constexpr Panel panel(int64_t columns, int64_t i, int64_t most = widest) {
  const int64_t all = vectors(columns), n = panels(columns, most), first = all * i / n;
  return {first * lanes, all * (i + 1) / n - first};
}

/** Packed weights: for every panel and every k the panel's vectors, the rest of the last one zero. With a half: see add_run_with_half. */
constexpr int64_t run(const Problem& p) { return p.w.taps * p.c; }
constexpr int64_t packed_run(const Problem& p) {
  const Width w = width(p.oc);
  return w.half ? (run(p) / 2 * (2 * w.vectors + 1) + run(p) % 2 * (w.vectors + 1)) * lanes : run(p) * vectors(p.oc) * lanes;
}
constexpr int64_t packed_floats(const Problem& p) { return p.t.taps * p.h.taps * packed_run(p); }

/** Packs with a half; weight(k, oc). */
template <class Weight>
void pack_with_half(const Problem& p, const Weight& weight, float* packed) {
  const int64_t whole = width(p.oc).vectors;
  std::memset(packed, 0, static_cast<std::size_t>(packed_floats(p)) * sizeof(float));
  for (int64_t k = 0; k < depth(p); k++) {
    const int64_t i = k % run(p), odd = i % 2;
    const bool paired = i / 2 < run(p) / 2;
    float* to = packed + k / run(p) * packed_run(p) + i / 2 * (2 * whole + 1) * lanes;
    for (int64_t oc = 0; oc < whole * lanes; oc++) to[odd * whole * lanes + oc] = weight(k, oc);
    for (int64_t oc = whole * lanes; oc < p.oc; oc++) to[(paired ? 2 : 1) * whole * lanes + odd * (lanes / 2) + oc - whole * lanes] = weight(k, oc);
  }
}

/** Cut so that `threads` have several tasks each, if there is so much to do. Neither the cut nor the tasks change a sum. */
inline Grid forward_grid(const Problem& p, int threads) {
  int64_t most = most_positions;
  Grid g = cut(p, most, block_floats);
  while (threads > 1 && most > 48 && blocks(p, g) * panels(p.oc) < 8 * threads) g = cut(p, most /= 2, block_floats);
  return g;
}

/** Scratch of a thread: the offsets of a block's positions, and its copy. */
struct ThreadScratch {
  int64_t offsets, copy;  // floats
  int64_t size() const { return offsets + copy; }
};
inline ThreadScratch thread_scratch(const Problem& p, const Grid& g) {
  const auto lines = [](int64_t floats) { return ceil_div(floats, 16) * 16; };
  return {lines(2 * g.positions * static_cast<int64_t>(sizeof(int64_t) / sizeof(float))), lines(g.box * copy_pitch(p))};
}

/** target = function(bias + add + Σ x · w) on the grid of the problem. */
struct Correlation {
  const float* x;
  const float* packed;
  const float* bias;
  const float* add;
  Function function;
  float* target;
  float* scratch;
};

void correlate(const Problem& p, const Correlation& a, ThreadPool& pool) {
  const Grid g = forward_grid(p, pool.threads());
  const ThreadScratch scratch = thread_scratch(p, g);
  const int64_t all = panels(p.oc), n = blocks(p, g);
  if (n == 0) return;
  const int64_t groups = pool.threads() == 1 ? 1 : smaller(all, ceil_div(8 * pool.threads(), n));
  pool.run(n * groups, [&](int64_t task, int thread) {
    float* mine = a.scratch + thread * scratch.size();
    int64_t* read = reinterpret_cast<int64_t*>(mine);
    int64_t* write = read + g.positions;
    const Block b = block(p, g, task / groups);
    const View v = view(p, b, a.x, mine + scratch.offsets);
    offsets(p, b, v, read, write);

    const int64_t group = task % groups, rows = positions(b);
    const int64_t begin = all * group / groups, end = all * (group + 1) / groups;
    const int64_t next = smaller(task + 1, n * groups - 1) / groups;
    const Width widths = all == 1 ? width(p.oc) : Width{static_cast<int>(panel(p.oc, begin).vectors), false};
    const int64_t iterations = widths.half ? depth(p) / 2 : widths.vectors == 1 ? depth(p) / 4 : depth(p);
    Ahead ahead(region(p, block(p, g, next), a.x), {}, (end - begin) * ceil_div(rows, max_rows(widths)), iterations);
    // Where pixels lie side by side, a row of taps is one run.
    Tile t{v.origin, nullptr, nullptr, p.t.taps, p.h.taps, run(p), v.pitch_t, v.pitch_h, nullptr, nullptr, nullptr, nullptr, 0, a.function, {}};
    for (int64_t i = begin; i < end; i++) {
      const Panel q = panel(p.oc, i);
      t.w = a.packed + q.first * depth(p);
      t.bias = a.bias ? a.bias + q.first : nullptr;
      t.add = a.add ? a.add + q.first : nullptr;
      t.y = a.target + q.first;
      t.channels = smaller(q.vectors * lanes, p.oc - q.first);
      const Width w = all == 1 ? width(p.oc) : Width{static_cast<int>(q.vectors), false};
      const int64_t tiles = ceil_div(rows, max_rows(w));
      for (int64_t j = 0; j < tiles; j++) {
        const int64_t first_row = rows * j / tiles, count = rows * (j + 1) / tiles - first_row;
        t.read = read + first_row;
        t.write = write + first_row;
        t.ahead = ahead.call();
        tile_function(static_cast<int>(count), w)(t);
      }
    }
  });
}

// Forward.

std::size_t forward_packed_size(const ConvShape& s) { return static_cast<std::size_t>(packed_floats(forward_problem(s))); }

void forward_pack(const ConvShape& s, const float* w, float* packed, ThreadPool& pool) {
  const Problem p = forward_problem(s);
  if (width(p.oc).half) return pack_with_half(p, [&](int64_t k, int64_t oc) { return w[k * p.oc + oc]; }, packed);
  pool.run(panels(p.oc), [&](int64_t task, int) {
    const Panel q = panel(p.oc, task);
    float* to = packed + q.first * depth(p);
    for (int64_t k = 0; k < depth(p); k++)
      for (int64_t i = 0; i < q.vectors; i++, to += lanes) {
        const int64_t oc = q.first + i * lanes;
        store(to, load(w + k * p.oc + oc, first(p.oc - oc)));
      }
  });
}

std::size_t forward_scratch_size(const ConvShape& s, int threads) {
  const Problem p = forward_problem(s);
  return static_cast<std::size_t>(threads * thread_scratch(p, forward_grid(p, threads)).size());
}

void forward(const ConvShape& s, const ConvForwardArgs& a, ThreadPool& pool) {
  correlate(forward_problem(s), {a.x, a.packed, a.bias, a.residual, a.function, a.y, a.scratch}, pool);
}

// Data gradient.

/** The elements first, first + stride, … of an axis of dx, and the taps first_tap, first_tap + stride, … that reach them. */
struct Phase {
  Axis axis;
  int64_t first_tap;
};
constexpr Phase phase(int64_t x, int64_t y, int64_t taps, int64_t stride, int64_t pad, int64_t first) {
  // dx[i] = Σ dy[o]·w[k] over o·stride + k = i + pad. With i = first + j·stride and k = first_tap + m·stride: o = j + shift − m.
  const int64_t first_tap = (first + pad) % stride, shift = (first + pad) / stride;
  const int64_t count = first_tap < taps ? (taps - first_tap - 1) / stride + 1 : 0;
  const int64_t out = first < x ? (x - first - 1) / stride + 1 : 0;
  return {{y, out, count, 1, count - 1 - shift, x, first, stride}, first_tap};
}

/** One of the st·sh·sw convolutions that make up a data gradient, its weights behind those of the phases before. */
struct GradientPhase {
  Problem problem;
  int64_t kt, kh, kw;  // first taps
  int64_t packed;      // offset of the weights
};

/** Calls f(phase) for every phase in turn. */
template <class F>
void for_each_phase(const ConvShape& s, const F& f) {
  const Window& k = s.window;
  int64_t packed = 0;
  for (int64_t t = 0; t < k.st; t++)
    for (int64_t h = 0; h < k.sh; h++)
      for (int64_t w = 0; w < k.sw; w++) {
        const Phase a = phase(s.x.t, s.y.t, k.kt, k.st, k.pt, t), b = phase(s.x.h, s.y.h, k.kh, k.sh, k.ph, h), c = phase(s.x.w, s.y.w, k.kw, k.sw, k.pw, w);
        const GradientPhase g{flatten({s.x.n, a.axis, b.axis, c.axis, s.y.c, s.x.c}), a.first_tap, b.first_tap, c.first_tap, packed};
        f(g);
        packed += packed_floats(g.problem);
      }
}

std::size_t data_gradient_packed_size(const ConvShape& s) {
  int64_t sum = 0;
  for_each_phase(s, [&](const GradientPhase& g) { sum += packed_floats(g.problem); });
  return static_cast<std::size_t>(sum);
}

/** As forward_pack, but of w transposed, with the taps of a phase in reverse. */
void data_gradient_pack(const ConvShape& s, const float* w, float* packed, ThreadPool& pool) {
  const Window& k = s.window;
  const int64_t C = s.x.c, OC = s.y.c;
  for_each_phase(s, [&](const GradientPhase& g) {
    const Problem& p = g.problem;
    const auto weights_of = [&](int64_t tap) {  // [C, OC]
      const int64_t kt = g.kt + (p.t.taps - 1 - tap / (p.h.taps * p.w.taps)) * k.st;
      const int64_t kh = g.kh + (p.h.taps - 1 - tap / p.w.taps % p.h.taps) * k.sh;
      const int64_t kw = g.kw + (p.w.taps - 1 - tap % p.w.taps) * k.sw;
      return w + ((kt * k.kh + kh) * k.kw + kw) * C * OC;
    };
    if (width(C).half) return pack_with_half(p, [&](int64_t i, int64_t c) { return weights_of(i / OC)[c * OC + i % OC]; }, packed + g.packed);
    pool.run(panels(C) * taps(p), [&](int64_t task, int) {
      const int64_t tap = task % taps(p);
      const Panel q = panel(C, task / taps(p));
      const int64_t columns = q.vectors * lanes, channels = smaller(columns, C - q.first);
      const float* from = weights_of(tap) + q.first * OC;
      float* to = packed + g.packed + q.first * depth(p) + tap * OC * columns;
      for (int64_t oc = 0; oc < OC; oc += lanes)
        for (int64_t c = 0; c < columns; c++)
          for (int64_t i = oc; i < smaller(oc + lanes, OC); i++) to[i * columns + c] = c < channels ? from[c * OC + i] : 0;
    });
  });
}

std::size_t data_gradient_scratch_size(const ConvShape& s, int threads) {
  int64_t most = 0;
  for_each_phase(s, [&](const GradientPhase& g) { most = larger(most, thread_scratch(g.problem, forward_grid(g.problem, threads)).size()); });
  return static_cast<std::size_t>(threads * most);
}

void data_gradient(const ConvShape& s, const ConvDataGradientArgs& a, ThreadPool& pool) {
  for_each_phase(s, [&](const GradientPhase& g) {
    if (taps(g.problem) == 0 && a.accumulate) return;
    correlate(g.problem, {a.dy, a.packed + g.packed, nullptr, a.accumulate ? a.dx : nullptr, Function::none, a.dx, a.scratch}, pool);
  });
}

}  // namespace
}  // namespace tvn::TVN_ISA
