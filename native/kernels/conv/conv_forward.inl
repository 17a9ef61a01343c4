// Forward pass and data gradient. Both are `correlate`: the data gradient is a convolution of dy with the transposed weights, and
// with stride S it falls into S independent ones per axis, each of which computes every S-th element of dx from its share of the taps.

namespace tvn::TVN_ISA {
namespace {

constexpr int64_t most_positions = 384;  // of a block

/** Vectors cut into panels of nearly the same number. */
struct Panel {
  int64_t first, vectors;
};
constexpr int64_t panels(int64_t vectors, int64_t most) { return ceil_div(vectors, most); }
constexpr Panel panel(int64_t vectors, int64_t most, int64_t i) {
  const int64_t n = panels(vectors, most), first = vectors * i / n;
  return {first, vectors * (i + 1) / n - first};
}
constexpr int64_t panels(const Problem& p) { return panels(vectors_of(p.oc), widest); }
constexpr Panel panel(const Problem& p, int64_t i) { return panel(vectors_of(p.oc), widest, i); }

/** Packed weights: panel after panel, in a panel row of taps after row of taps, k after k (or pair after pair), vector after vector. */
constexpr int64_t run(const Problem& p) { return p.w.taps * p.c; }
constexpr int64_t packed_steps(const Problem& p) { return p.t.taps * p.h.taps * (paired(p.oc) ? ceil_div(run(p), 2) : run(p)); }
constexpr int64_t packed_floats(const Problem& p) { return packed_steps(p) * vectors_of(p.oc) * lanes; }

/** Where a weight lies: at[c · per_c + oc · per_oc], for a tap of the problem. */
struct Weights {
  const float* at;
  int64_t per_c, per_oc;
};

/** Packs the weights, given as weights(tap); what pads a vector is 0. */
template <class WeightsOfTap>
void pack(const Problem& p, const WeightsOfTap& weights, float* packed, ThreadPool& pool) {
  const int64_t pair = paired(p.oc) ? 2 : 1, per_vector = channels_per_vector(p.oc);
  const int64_t runs = p.t.taps * p.h.taps, steps = ceil_div(run(p), pair);
  pool.run(panels(p) * runs, [&](int64_t task, int) {
    const Panel q = panel(p, task / runs);
    const int64_t of_run = task % runs, step_floats = q.vectors * lanes;
    float* to = packed + q.first * packed_steps(p) * lanes + of_run * steps * step_floats;
    constexpr int64_t together = 16;  // rows of w at a time, so that a transposed w is read by cache lines
    for (int64_t first = 0; first < steps * pair; first += together) {
      const int64_t count = smaller(together, steps * pair - first);
      const float* from[together];
      float* row[together];
      int64_t per_oc = 0;
      for (int64_t i = 0; i < count; i++) {
        const int64_t k = first + i;
        const Weights w = weights(of_run * p.w.taps + smaller(k, run(p) - 1) / p.c);
        from[i] = k < run(p) ? w.at + k % p.c * w.per_c : nullptr;
        row[i] = to + k / pair * step_floats + k % pair;
        per_oc = w.per_oc;
      }
      for (int64_t j = 0; j < q.vectors * per_vector; j++) {
        const int64_t oc = q.first * per_vector + j;
        for (int64_t i = 0; i < count; i++) row[i][j * pair] = from[i] && oc < p.oc ? from[i][oc * per_oc] : 0;
      }
    }
  });
}

/** One of the convolutions that are summed. All have the grid of the first. */
struct Source {
  Problem problem;
  const float* x;
  const float* packed;
  const float* bias;
};
struct Sources {
  const Source* first;
  int64_t count;
  const Source* begin() const { return first; }
  const Source* end() const { return first + count; }
};

/** Cut so that `threads` have several tasks each, if there is so much to do. Neither the cut nor the tasks change a sum. */
inline Grid forward_grid(const Problem& p, int threads) {
  int64_t most = most_positions;
  Grid g = cut(p, most, block_floats);
  while (threads > 1 && most > 48 && blocks(p, g) * panels(p) < 8 * threads) g = cut(p, most /= 2, block_floats);
  return g;
}
/** The source that reads the most decides how large a block may be. */
inline Grid forward_grid(Sources sources, int threads) {
  const auto reads = [](const Source& s) { return s.problem.c * s.problem.t.stride * s.problem.h.stride * s.problem.w.stride; };
  const Source* widest_source = sources.first;
  for (const Source& s : sources)
    if (reads(s) > reads(*widest_source)) widest_source = &s;
  return forward_grid(widest_source->problem, threads);
}

/** Scratch of a thread, in floats: where a block's positions land, and for every source where they are read and perhaps a copy of them. */
struct ThreadScratch {
  int64_t sources, offsets, copies;
  int64_t size() const { return offsets * (1 + sources) + copies; }
};
/** A copy of the input under the largest block; 0 where none is needed. */
inline int64_t copy_floats(const Problem& p, const Grid& g) {
  if (!needs_copy(p) || blocks(p, g) == 0) return 0;
  const auto part = [](const Axis& a, int64_t parts) { return extent(a, ceil_div(a.out, parts)); };
  return ceil_div(part(p.t, g.t) * part(p.h, g.h) * part(p.w, g.w) * copy_pitch(p), 16) * 16;
}
inline ThreadScratch thread_scratch(Sources sources, const Grid& g) {
  ThreadScratch t{sources.count, ceil_div(g.positions * static_cast<int64_t>(sizeof(int64_t) / sizeof(float)), 16) * 16, 0};
  for (const Source& s : sources) t.copies += copy_floats(s.problem, g);
  return t;
}
inline int64_t correlate_scratch(Sources sources, int threads) {
  return threads * thread_scratch(sources, forward_grid(sources, threads)).size();
}

/** What becomes of the sums. */
struct Correlation {
  const float* scale;  // of the first source, by clip; null for none
  const float* add;
  Function function;
  float* target;
  float* scratch;
};

/** target = function(add + scale · (bias + Σ x·w) + Σ over the other sources) on the grid of the problems. */
void correlate(Sources sources, const Correlation& a, ThreadPool& pool) {
  const Problem& p = sources.first->problem;
  const Grid g = forward_grid(sources, pool.threads());
  const ThreadScratch scratch = thread_scratch(sources, g);
  const int64_t all = panels(p), n = blocks(p, g);
  if (n == 0) return;
  const int64_t groups = pool.threads() == 1 ? 1 : smaller(all, ceil_div(8 * pool.threads(), n));
  pool.run(n * groups, [&](int64_t task, int thread) {
    float* next_scratch = a.scratch + thread * scratch.size();
    const auto take = [&](int64_t floats) { return (next_scratch += floats) - floats; };
    const int64_t group = task % groups, begin = all * group / groups, end = all * (group + 1) / groups;
    const Block b = block(p, g, task / groups), next = block(p, g, smaller(task + 1, n * groups - 1) / groups);
    const int64_t rows = positions(b);
    int64_t* write = reinterpret_cast<int64_t*>(take(scratch.offsets));
    for (int64_t k = 0; k < sources.count; k++) {
      const Source& s = sources.first[k];
      int64_t* read = reinterpret_cast<int64_t*>(take(scratch.offsets));
      const View v = view(s.problem, b, s.x, take(copy_floats(s.problem, g)));
      offsets(s.problem, b, v, read, write);
      const int64_t steps = packed_steps(s.problem);
      Ahead ahead(region(s.problem, next, s.x), {}, (end - begin) * ceil_div(rows, max_rows(panel(p, begin).vectors)), steps);
      const bool is_last = k == sources.count - 1;
      const float* add = k == 0 ? a.add : a.target;  // still near
      // Where pixels lie side by side, a row of taps is one run.
      Tile t{.x = v.origin,
             .kt = s.problem.t.taps,
             .kh = s.problem.h.taps,
             .run = run(s.problem),
             .pitch_t = v.pitch_t,
             .pitch_h = v.pitch_h,
             .function = is_last ? a.function : Function::none};
      for (int64_t i = begin; i < end; i++) {
        const Panel q = panel(p, i);
        const int64_t first_channel = q.first * channels_per_vector(p.oc);
        const auto of_panel = [&](const float* channels) { return channels ? channels + first_channel : nullptr; };
        t.w = s.packed + q.first * lanes * steps;
        t.bias = of_panel(s.bias);
        t.scale = k == 0 && a.scale ? a.scale + b.n * p.oc + first_channel : nullptr;
        t.add = of_panel(add);
        t.y = a.target + first_channel;
        t.channels = smaller(q.vectors * channels_per_vector(p.oc), p.oc - first_channel);
        t.read = read;
        t.write = write;
        const int64_t tiles = ceil_div(rows, max_rows(q.vectors)), count = rows / tiles, longer = rows % tiles;
        const auto function = [&](int64_t n_rows) {
          return paired(p.oc) ? tile_function<true>(n_rows, q.vectors) : tile_function<false>(n_rows, q.vectors);
        };
        TileFunction* const functions[] = {function(count), longer ? function(count + 1) : nullptr};
        for (int64_t j = 0; j < tiles; j++) {
          t.ahead = ahead.call();
          functions[j < longer](t);
          t.read += count + (j < longer);
          t.write += count + (j < longer);
        }
      }
    }
  });
}

// Forward.

std::size_t forward_packed_size(const ConvShape& s) { return static_cast<std::size_t>(packed_floats(forward_problem(s))); }

void forward_pack(const ConvShape& s, const float* w, float* packed, ThreadPool& pool) {
  const Problem p = forward_problem(s);
  const auto weights = [&](int64_t tap) { return Weights{w + tap * p.c * p.oc, p.oc, 1}; };
  pack(p, weights, packed, pool);
}

std::size_t forward_scratch_size(const ConvShape& s, int threads) {
  const Source source{forward_problem(s, s.x.n > 1), nullptr, nullptr, nullptr}, flat{forward_problem(s), nullptr, nullptr, nullptr};
  return static_cast<std::size_t>(larger(correlate_scratch({&source, 1}, threads), correlate_scratch({&flat, 1}, threads)));
}

void forward(const ConvShape& s, const ConvForwardArgs& a, ThreadPool& pool) {
  const Source source{forward_problem(s, a.scale != nullptr), a.x, a.packed, a.bias};
  correlate({&source, 1}, {a.scale, a.residual, a.function, a.y, a.scratch}, pool);
}

// Sum of two.

/** Calls f with both sources, flattened only where neither steps over pixels: a stride keeps its axis apart, however short. */
template <class F>
auto with_sum(const ConvSumShape& s, const ConvSumArgs& a, const F& f) {
  const Window& k = s.shortcut.window;
  const bool same = k.st == 1 && k.sh == 1 && k.sw == 1, clips = s.expand.x.n > 1;
  const auto problem = [&](const ConvShape& of) { return same ? forward_problem(of, clips) : unflattened_problem(of); };
  const Source sources[] = {{problem(s.expand), a.x, a.packed, a.bias},
                            {problem(s.shortcut), a.shortcut_x, a.shortcut_packed, a.shortcut_bias}};
  return f(Sources{sources, 2});
}

std::size_t sum_scratch_size(const ConvSumShape& s, int threads) {
  return with_sum(s, {}, [&](Sources sources) { return static_cast<std::size_t>(correlate_scratch(sources, threads)); });
}

void forward_sum(const ConvSumShape& s, const ConvSumArgs& a, ThreadPool& pool) {
  with_sum(s, a, [&](Sources sources) { correlate(sources, {a.scale, nullptr, a.function, a.y, a.scratch}, pool); });
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
        const Phase a = phase(s.x.t, s.y.t, k.kt, k.st, k.pt, t), b = phase(s.x.h, s.y.h, k.kh, k.sh, k.ph, h),
                    c = phase(s.x.w, s.y.w, k.kw, k.sw, k.pw, w);
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

/** Packs w transposed, with the taps of a phase in reverse. */
void data_gradient_pack(const ConvShape& s, const float* w, float* packed, ThreadPool& pool) {
  const Window& k = s.window;
  for_each_phase(s, [&](const GradientPhase& g) {
    const Problem& p = g.problem;
    const auto weights = [&](int64_t tap) {
      const int64_t kt = g.kt + (p.t.taps - 1 - tap / (p.h.taps * p.w.taps)) * k.st;
      const int64_t kh = g.kh + (p.h.taps - 1 - tap / p.w.taps % p.h.taps) * k.sh;
      const int64_t kw = g.kw + (p.w.taps - 1 - tap % p.w.taps) * k.sw;
      return Weights{w + ((kt * k.kh + kh) * k.kw + kw) * s.x.c * s.y.c, 1, s.y.c};
    };
    pack(p, weights, packed + g.packed, pool);
  });
}

std::size_t data_gradient_scratch_size(const ConvShape& s, int threads) {
  int64_t most = 0;
  for_each_phase(s, [&](const GradientPhase& g) {
    const Source source{g.problem, nullptr, nullptr, nullptr};
    most = larger(most, correlate_scratch({&source, 1}, threads));
  });
  return static_cast<std::size_t>(most);
}

void fill_with_zeros(float* x, int64_t size, ThreadPool& pool) {
  constexpr int64_t piece = 64 << 10;
  pool.run(ceil_div(size, piece), [&](int64_t task, int) {
    std::memset(x + task * piece, 0, static_cast<std::size_t>(smaller(piece, size - task * piece)) * sizeof(float));
  });
}

void data_gradient(const ConvShape& s, const ConvDataGradientArgs& a, ThreadPool& pool) {
  const Window& k = s.window;
  const bool gaps = k.st > k.kt || k.sh > k.kh || k.sw > k.kw;  // elements that no tap reaches: cleared in one sweep
  if (gaps && !a.accumulate) fill_with_zeros(a.dx, s.x.size(), pool);
  for_each_phase(s, [&](const GradientPhase& g) {
    if (taps(g.problem) == 0) return;
    const Source source{g.problem, a.dy, a.packed + g.packed, nullptr};
    correlate({&source, 1}, {nullptr, a.accumulate ? a.dx : nullptr, Function::none, a.dx, a.scratch}, pool);
  });
}

}  // namespace
}  // namespace tvn::TVN_ISA
