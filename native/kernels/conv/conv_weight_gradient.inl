// Weight gradient: dw[k, oc] = Σ x[position's window, k] · dy[position, oc].
//
// Whichever of k and oc fills vectors better lies in lanes, the other is broadcast. Positions are cut into blocks and these into
// chunks by shape alone; a chunk sums its blocks in order into its own copy of dw, and the copies are added pairwise. Where dw is
// so large that few copies are affordable, the tasks of a chunk share out its rows and columns instead.

namespace tvn::TVN_ISA {
namespace {

constexpr int64_t most_chunks = 16;
constexpr int64_t most_chunk_floats = 1 << 20;  // of all copies of dw

/** Cut of n into parts of at most `most`, nearly equal. */
struct Cut {
  int64_t n, parts;
  constexpr Cut(int64_t size, int64_t most) : n(size), parts(ceil_div(size, most)) {}
  constexpr int64_t begin(int64_t i) const { return n * i / parts; }
};

constexpr int64_t vectors(int64_t columns) { return ceil_div(columns, lanes); }

/** Floats of vectors used, as a share of the floats in them. */
constexpr double fill(int64_t n) { return static_cast<double>(n) / static_cast<double>(vectors(n) * lanes); }

struct WeightGradientPlan {
  Problem p;
  Grid grid;
  bool k_in_lanes;
  int64_t run;   // floats of a row of taps
  int64_t runs;  // rows of taps
  int64_t chunks;
  int64_t most_vectors;  // of a panel

  explicit WeightGradientPlan(const ConvShape& s) : p(forward_problem(s)) {
    // Every block reads and writes all of dw: the larger it is, the more positions a block must have.
    const int64_t most_floats = needs_copy(p) ? larger(block_words, smaller(size(), 4 * block_words)) : INT64_MAX / 4;
    grid = cut(p, size() < (128 << 10) ? 192 : 384, most_floats);
    run = p.w.taps * p.c;
    runs = p.t.taps * p.h.taps;
    k_in_lanes = fill(run) > 1.15 * fill(p.oc);
    most_vectors = k_in_lanes || vectors(p.oc) <= 3 ? widest : 2;  // two: a panel of dy and the x of a tile fit into L1
    chunks = larger(1, smaller(most_chunks, smaller(blocks(p, grid), most_chunk_floats / size())));
  }

  int64_t size() const { return depth(p) * p.oc; }
  /** Copies of dw in scratch: the first chunk may write to dw itself if the layout is the same. */
  int64_t copies() const { return k_in_lanes ? chunks : chunks - 1; }
  ThreadScratch thread() const {
    const Source source{p, nullptr, nullptr, nullptr};
    return thread_scratch({&source, 1}, grid);
  }
  int64_t shared_floats() const { return ceil_div(copies() * size() + chunks * p.oc, 16) * 16; }
};

/** Sums the rows of dy, `width` floats at each offset, into db. */
void sum_rows(const float* dy, const int64_t* offsets, int64_t n, int64_t width, bool start, float* db) {
  constexpr int64_t chains = 4;
  for_vectors(0, width, [&](int64_t c, auto mask) {
    Vec sum[chains] = {start ? zero() : load(db + c, mask), zero(), zero(), zero()};
    for (int64_t i = 0; i < n; i += chains)
#pragma GCC unroll 4
      for (int64_t j = 0; j < chains; j++)
        if (i + j < n) sum[j] = sum[j] + load(dy + offsets[i + j] + c, mask);
    store(db + c, (sum[0] + sum[1]) + (sum[2] + sum[3]), mask);
  });
}

/** parts[0] + parts[1] + …, `pitch` apart, pairwise; first is parts[0]. */
void sum_parts(float* to, const float* first_part, const float* others, int64_t parts, int64_t pitch, int64_t begin, int64_t end) {
  for_vectors(begin, end, [&](int64_t c, auto mask) {
    Vec v[most_chunks];
    v[0] = load(first_part + c, mask);
    for (int64_t i = 1; i < parts; i++) v[i] = load(others + (i - 1) * pitch + c, mask);
    for (int64_t step = 1; step < parts; step *= 2)
      for (int64_t i = 0; i + step < parts; i += 2 * step) v[i] = v[i] + v[i + step];
    store(to + c, v[0], mask);
  });
}

std::size_t weight_gradient_packed_size(const ConvShape&) { return 0; }

std::size_t weight_gradient_scratch_size(const ConvShape& s, int threads) {
  const WeightGradientPlan plan(s);
  return static_cast<std::size_t>(plan.shared_floats() + threads * plan.thread().size());
}

/** A task: some blocks of a chunk, and of the sum some panels (columns) and some tiles of rows. */
struct Share {
  int64_t chunk;
  int64_t first_panel, last_panel, first_tile, last_tile;
};

class WeightGradient {
 public:
  WeightGradient(const ConvShape& s, const ConvWeightGradientArgs& a, int threads) : plan(s), args(a) {
    const Problem& p = plan.p;
    if (plan.k_in_lanes) {
      run_panels = panels(vectors(plan.run), plan.most_vectors);
      all_panels = plan.runs * run_panels;
    } else {
      all_panels = panels(vectors(p.oc), plan.most_vectors);
    }
    // Rows are tiled for the widest panel.
    const int64_t columns = plan.k_in_lanes ? plan.run : p.oc;
    const int most = max_update_rows(ceil_div(vectors(columns), panels(vectors(columns), plan.most_vectors)));
    const Cut rows(plan.k_in_lanes ? p.oc : plan.run, most);
    run_tiles = rows.parts;
    all_tiles = plan.k_in_lanes ? run_tiles : plan.runs * run_tiles;
    const int64_t wanted = threads == 1 ? 1 : ceil_div(8 * threads, plan.chunks);
    panel_groups = smaller(all_panels, wanted);
    tile_groups = smaller(all_tiles, ceil_div(wanted, panel_groups));
    copies = a.scratch;
    db_parts = a.scratch + plan.copies() * plan.size();
    thread_memory = a.scratch + plan.shared_floats();
  }

  int64_t tasks() const { return plan.chunks * panel_groups * tile_groups; }

  void run(int64_t task, int thread) const {
    const int64_t group = task % (panel_groups * tile_groups);
    const int64_t i = group / tile_groups, j = group % tile_groups;
    const Share share{task / (panel_groups * tile_groups), all_panels * i / panel_groups, all_panels * (i + 1) / panel_groups,
                      all_tiles * j / tile_groups, all_tiles * (j + 1) / tile_groups};
    const int64_t n = blocks(plan.p, plan.grid);
    const int64_t begin = n * share.chunk / plan.chunks, end = n * (share.chunk + 1) / plan.chunks;
    float* mine = thread_memory + thread * plan.thread().size();
    const ThreadScratch scratch = plan.thread();
    int64_t* read = reinterpret_cast<int64_t*>(mine);
    int64_t* write = reinterpret_cast<int64_t*>(mine + scratch.offsets);
    float* copy = mine + 2 * scratch.offsets;
    for (int64_t b = begin; b < end; b++) {
      const Block where = block(plan.p, plan.grid, b);
      const View v = view(plan.p, where, args.x, copy);
      offsets(plan.p, where, v, read, write);
      const int64_t calls = (share.last_panel - share.first_panel) * (share.last_tile - share.first_tile);
      const Block next = block(plan.p, plan.grid, b + 1 < end ? b + 1 : b);
      Ahead ahead(region(plan.p, next, args.x), output_region(plan.p, next, args.dy), calls, positions(where));
      if (plan.k_in_lanes)
        add_transposed(share, v, read, write, positions(where), b == begin, ahead);
      else
        add(share, v, read, write, positions(where), b == begin, ahead);
    }
  }

  /** Adds up the chunks. */
  void finish(ThreadPool& pool) const {
    const int64_t size = plan.size(), piece = 4096;
    if (plan.chunks > 1)
      pool.run(ceil_div(size, piece), [&](int64_t task, int) {
        float* to = plan.k_in_lanes ? copies : args.dw;
        sum_parts(to, to, plan.k_in_lanes ? copies + size : copies, plan.chunks, size, task * piece, smaller(size, (task + 1) * piece));
      });
    if (plan.k_in_lanes) {
      const int64_t K = depth(plan.p), OC = plan.p.oc;
      for (int64_t oc = 0; oc < OC; oc++)
        for (int64_t k = 0; k < K; k++) args.dw[k * OC + oc] = copies[oc * K + k];
    }
    if (args.db) sum_parts(args.db, db_parts, db_parts + plan.p.oc, plan.chunks, plan.p.oc, 0, plan.p.oc);
  }

 private:
  /** dw with OC in lanes: a row of the sum is a k. */
  void add(const Share& share, const View& v, const int64_t* read, const int64_t* write, int64_t n, bool start, Ahead& ahead) const {
    const Problem& p = plan.p;
    const Cut rows(plan.run, rows_of_tile());
    const int64_t together = larger(1, block_words / (n * rows_of_tile()));  // tiles whose part of x stays in L2
    for (int64_t j = share.first_tile, end; j < share.last_tile; j = end) {
      end = smaller(j + together, share.last_tile);
      for (int64_t i = share.first_panel; i < share.last_panel; i++) {
        const Panel q = panel_of(p.oc, i);
        const int64_t first = q.first * lanes, channels = smaller(q.vectors * lanes, p.oc - first);
        if (args.db && j == 0) sum_rows(args.dy + first, write, n, channels, start, db_parts + share.chunk * p.oc + first);
        for (int64_t tile = j; tile < end; tile++) {
          const int64_t of_run = tile / run_tiles, k = rows.begin(tile % run_tiles), count = rows.begin(tile % run_tiles + 1) - k;
          float* to = sum(share.chunk) + (of_run * plan.run + k) * p.oc + first;
          const Update u{row_of_taps(v, of_run) + k, read, args.dy + first, write, n, channels, to, p.oc, start, ahead.call()};
          update_function(count, q.vectors)(u);
        }
      }
    }
  }

  /** dw with K in lanes: a row of the sum is an output channel. */
  void add_transposed(const Share& share, const View& v, const int64_t* read, const int64_t* write, int64_t n, bool start,
                      Ahead& ahead) const {
    const Problem& p = plan.p;
    const int64_t K = depth(p);
    const Cut rows(p.oc, rows_of_tile());
    for (int64_t i = share.first_panel; i < share.last_panel; i++) {
      const int64_t of_run = i / run_panels;
      const Panel q = panel_of(plan.run, i % run_panels);
      const int64_t first = q.first * lanes, width = smaller(q.vectors * lanes, plan.run - first);
      for (int64_t j = share.first_tile; j < share.last_tile; j++) {
        const int64_t oc = rows.begin(j), count = rows.begin(j + 1) - oc;
        float* to = sum(share.chunk) + oc * K + of_run * plan.run + first;
        const Update u{args.dy + oc, write, row_of_taps(v, of_run) + first, read, n, width, to, K, start, ahead.call()};
        update_function(count, q.vectors)(u);
      }
    }
    if (args.db && share.first_panel == 0 && share.first_tile == 0) sum_rows(args.dy, write, n, p.oc, start, db_parts + share.chunk * p.oc);
  }

  const float* row_of_taps(const View& v, int64_t i) const {
    return v.origin + i / plan.p.h.taps * v.pitch_t + i % plan.p.h.taps * v.pitch_h;
  }
  int64_t rows_of_tile() const { return ceil_div(plan.k_in_lanes ? plan.p.oc : plan.run, run_tiles); }
  Panel panel_of(int64_t columns, int64_t i) const { return panel(vectors(columns), plan.most_vectors, i); }
  /** A chunk's own dw. */
  float* sum(int64_t chunk) const {
    if (plan.k_in_lanes) return copies + chunk * plan.size();
    return chunk == 0 ? args.dw : copies + (chunk - 1) * plan.size();
  }

  WeightGradientPlan plan;
  ConvWeightGradientArgs args;
  int64_t all_panels, run_panels = 1;  // panels of the sum; of a row of taps
  int64_t all_tiles, run_tiles;        // tiles of rows
  int64_t panel_groups, tile_groups;
  float *copies, *db_parts, *thread_memory;
};

void weight_gradient(const ConvShape& s, const ConvWeightGradientArgs& a, ThreadPool& pool) {
  if (positions(forward_problem(s)) == 0) {
    std::memset(a.dw, 0, static_cast<std::size_t>(s.window.taps() * s.x.c * s.y.c) * sizeof(float));
    if (a.db) std::memset(a.db, 0, static_cast<std::size_t>(s.y.c) * sizeof(float));
    return;
  }
  const WeightGradient gradient(s, a, pool.threads());
  pool.run(gradient.tasks(), [&](int64_t task, int thread) { gradient.run(task, thread); });
  gradient.finish(pool);
}

}  // namespace
}  // namespace tvn::TVN_ISA
