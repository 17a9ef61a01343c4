// Forward pass, and `correlate`, which is also behind the data gradient (conv_data_gradient.inl).

namespace tvn::TVN_ISA {
namespace {

constexpr int64_t most_positions = 384;             // of a block
constexpr int64_t least_multiplications = 3 << 13;  // of a task: fewer are done before another thread has heard of them

/** Vectors cut into panels of nearly the same number. */
struct Panel {
  int64_t first, vectors;
};
constexpr int64_t panels(int64_t vectors, int64_t most) { return ceil_div(vectors, most); }
constexpr Panel panel(int64_t vectors, int64_t most, int64_t i) {
  const int64_t n = panels(vectors, most), first = vectors * i / n;
  return {first, vectors * (i + 1) / n - first};
}
constexpr int64_t widest_panel(const Problem& p) { return p.tiling.panel > 0 ? smaller(p.tiling.panel, widest) : widest; }
constexpr int64_t panels(const Problem& p) { return panels(vectors_of(p.oc), widest_panel(p)); }
constexpr Panel panel(const Problem& p, int64_t i) { return panel(vectors_of(p.oc), widest_panel(p), i); }

/** Packed weights: panel after panel, in a panel row of taps after row of taps, k after k (or pair after pair), vector after vector. */
constexpr int64_t run(const Problem& p) { return p.w.taps * words(p.c); }
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
      WordSource from[together];
      float* row[together];
      int64_t per_oc = 0;
      for (int64_t i = 0; i < count; i++) {
        const int64_t k = first + i;
        const Weights w = weights(of_run * p.w.taps + smaller(k, run(p) - 1) / words(p.c));
        for (int64_t e = 0; e < channels_per_word; e++) {
          const int64_t c = k % words(p.c) * channels_per_word + e;
          from[i].channel[e] = k < run(p) && c < p.c ? w.at + c * w.per_c : nullptr;
        }
        row[i] = to + k / pair * step_floats + k % pair;
        per_oc = w.per_oc;
      }
      for (int64_t j = 0; j < q.vectors * per_vector; j++) {
        const int64_t oc = q.first * per_vector + j;
        for (int64_t i = 0; i < count; i++) row[i][j * pair] = oc < p.oc ? to_word(from[i], oc * per_oc) : 0;
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
constexpr int64_t most_sources = 2;
struct Sources {
  const Source* first;
  int64_t count;  // at most most_sources
  const Source* begin() const { return first; }
  const Source* end() const { return first + count; }
};

/** Cut so that `threads` have several tasks each, if there is so much to do. Neither the cut nor the tasks change a sum. */
inline Grid forward_grid(const Problem& p, int threads) {
  int64_t most = scaled(most_positions, p.tiling);
  const int64_t most_words = scaled(block_words, p.tiling);
  Grid g = cut(p, most, most_words);
  while (threads > 1 && most > 48 && blocks(p, g) * panels(p) < 8 * threads) g = cut(p, most /= 2, most_words);
  return g;
}
/** The source that reads the most decides how large a block may be. */
inline Grid forward_grid(Sources sources, int threads) {
  const auto stride = [](const Axis& a) { return is_picked(a) ? 1 : a.stride; };
  const auto reads = [&](const Source& s) { return s.problem.c * stride(s.problem.t) * stride(s.problem.h) * stride(s.problem.w); };
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
  const auto part = [](const Axis& a, int64_t parts) { return view_extent(a, ceil_div(a.out, parts)); };
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
  const int64_t worth = larger(1, positions(p) / n * packed_floats(p) / least_multiplications);
  const int64_t groups = pool.threads() == 1 ? 1 : smaller(smaller(all, worth), ceil_div(8 * pool.threads(), n));
  pool.run(n * groups, [&](int64_t task, int thread) {
    float* next_scratch = a.scratch + thread * scratch.size();
    const auto take = [&](int64_t floats) { return (next_scratch += floats) - floats; };
    const int64_t group = task % groups, begin = all * group / groups, end = all * (group + 1) / groups;
    const Block b = block(p, g, task / groups), next = block(p, g, smaller(task + 1, n * groups - 1) / groups);
    const int64_t rows = positions(b);
    int64_t* write = reinterpret_cast<int64_t*>(take(scratch.offsets));
    struct Reading {
      Tile tile;
      const int64_t* offsets;
      Ahead ahead;
    } readings[most_sources];
    for (int64_t k = 0; k < sources.count; k++) {
      const Source& s = sources.first[k];
      int64_t* read = reinterpret_cast<int64_t*>(take(scratch.offsets));
      const View v = view(s.problem, b, s.x, take(copy_floats(s.problem, g)));
      offsets(s.problem, b, v, read, write);
      const int64_t calls = (end - begin) * ceil_div(rows, max_rows(panel(p, begin).vectors));
      // Where pixels lie side by side, a row of taps is one run.
      const Tile t{.x = v.origin,
                   .kt = s.problem.t.taps,
                   .kh = s.problem.h.taps,
                   .run = run(s.problem),
                   .pitch_t = v.pitch_t,
                   .pitch_h = v.pitch_h,
                   .function = k == sources.count - 1 ? a.function : Function::none,
                   .fetch_y = p.tiling.fetch_y};
      readings[k] = {t, read, Ahead(region(s.problem, next, s.x), {}, calls, packed_steps(s.problem))};
    }
    for (int64_t i = begin; i < end; i++) {
      const Panel q = panel(p, i);
      const int64_t first_channel = q.first * channels_per_vector(p.oc);
      const auto of_panel = [&](const float* channels) { return channels ? channels + first_channel : nullptr; };
      const int64_t tiles = ceil_div(rows, max_rows(q.vectors)), count = rows / tiles, longer = rows % tiles;
      const auto function = [&](int64_t n_rows) {
        return paired(p.oc) ? tile_function<true>(n_rows, q.vectors) : tile_function<false>(n_rows, q.vectors);
      };
      TileFunction* const functions[] = {function(count), longer ? function(count + 1) : nullptr};
      for (int64_t k = 0; k < sources.count; k++) {  // what the first has written is still near
        const Source& s = sources.first[k];
        Tile& t = readings[k].tile;
        t.w = s.packed + q.first * lanes * packed_steps(s.problem);
        t.bias = of_panel(s.bias);
        t.scale = k == 0 && a.scale ? a.scale + b.n * p.oc + first_channel : nullptr;
        t.add = of_panel(k == 0 ? a.add : a.target);
        t.y = a.target + first_channel;
        t.channels = smaller(q.vectors * channels_per_vector(p.oc), p.oc - first_channel);
        t.read = readings[k].offsets;
        t.write = write;
        for (int64_t j = 0; j < tiles; j++) {
          t.ahead = readings[k].ahead.call();
          functions[j < longer](t);
          t.read += count + (j < longer);
          t.write += count + (j < longer);
        }
      }
    }
  });
}

// Forward.

constexpr Tiling forward_tilings[] = {{.panel = 2}, {.block = -1}, {.block = 1}, {.fetch_y = false}};

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

}  // namespace
}  // namespace tvn::TVN_ISA
