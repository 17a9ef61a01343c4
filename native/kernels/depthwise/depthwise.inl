// Depthwise convolution over Vec: channels in lanes, up to eight positions of a row in registers.
#include "core/simd/common.inl"
#include "core/simd/math.inl"
#include "kernels/depthwise/depthwise.h"
#include "kernels/depthwise/depthwise_chunks.h"

namespace tvn::TVN_ISA {
namespace {

constexpr int tile_width = 8;  // positions of a row in registers: enough chains to hide the latency of an FMA
constexpr int widest = 5;      // wider filters are done in parts

/**
 * out[i,j,c] = f(start + Σ in[i·sh+kh−ph, j·sw+kw−pw, c] · w[kh,kw,c]) over one image: what the forward pass and, for every phase
 * of the stride, the data gradient have in common. Elements of `in` outside the image count as zero; ph and pw may be negative.
 */
struct Correlation {
  int64_t channels;
  int64_t in_h, in_w;
  int64_t out_h, out_w, out_row, out_column;  // pitches of out in floats
  int64_t kh, kw, w_row, w_column;            // pitches of w in floats, negative where the filter is mirrored
  int64_t sh, sw, ph, pw;
  const float* w;     // [0,0]
  const float* bias;  // start, or null for 0
  bool accumulate;    // start with what is in out
  Function function;
  bool far;  // the tensors are larger than a cache near the core
};

/** Up to tile_width neighbouring positions of a row. */
struct Tile {
  int64_t begin, count;
  uint64_t inside;  // bit p: the p-th column that their windows read lies inside the image
};

constexpr int columns_of(int kw, int step) { return (tile_width - 1) * step + kw; }

/** Vector c of run_tile. */
template <int KW, int Step, bool Whole, class M>
void run_tile_vector(const Correlation& k, const Tile& tile, int64_t rows, const float* in, int64_t column, const float* w, float* out,
                     int64_t c, M mask) {
  const int64_t count = Whole ? tile_width : tile.count;
  const uint64_t inside = tile.inside;
  const int64_t next = k.channels, gap = (k.sw - Step + 1) * next;  // from the last column of a step to the first of the next
  const int64_t in_row = k.in_w * next;
  const int64_t out_column = k.out_column, w_column = k.w_column, w_row = k.w_row;
  const Vec start = k.bias ? load(k.bias + c, mask) : zero();
  const bool accumulate = k.accumulate;
  out += c;
  Vec sum[tile_width];
  unroll<tile_width>([&](auto r) TVN_INLINE { sum[r] = accumulate && r < count ? load(out + r * out_column, mask) : start; });
  column += c;
  w += c;
  for (int64_t kh = 0; kh < rows; kh++, column += in_row, w += w_row) {
    int64_t at = column;
    Vec weight[KW];
    unroll<KW>([&](auto kw) TVN_INLINE { weight[kw] = load(w + kw * w_column, mask); });
    unroll<columns_of(KW, Step)>([&](auto p) TVN_INLINE {
      if (Whole || (inside >> p & 1)) {
        const Vec x = load(in + at, mask);
        unroll<KW>([&](auto kw) TVN_INLINE {
          constexpr int r = (p - kw) / Step;
          if constexpr (p >= kw && (p - kw) % Step == 0 && r < tile_width) sum[r] = fma(x, weight[kw], sum[r]);
        });
      }
      at += p % Step == Step - 1 ? gap : next;
    });
  }
  if (k.function != Function::none) unroll<tile_width>([&](auto r) TVN_INLINE { sum[r] = apply(k.function, sum[r]); });
  unroll<tile_width>([&](auto r) TVN_INLINE {
    if (r < count) store(out + r * out_column, sum[r], mask);
  });
}

/**
 * `rows` rows of the filter from w on, the first of them at element `column` of `in`. Windows Step columns apart share columns, so
 * every vector of `in` is used up to KW times in a row. Step = KW stands for every stride from KW on. Whole: a tile of full width whose
 * windows lie inside the image.
 */
template <int KW, int Step, bool Whole>
void run_tile(const Correlation& k, const Tile& tile, int64_t rows, const float* in, int64_t column, const float* w, float* out) {
  for_vectors(0, k.channels, [&](int64_t c, auto mask) { run_tile_vector<KW, Step, Whole>(k, tile, rows, in, column, w, out, c, mask); });
}

using RunTile = void(const Correlation&, const Tile&, int64_t, const float*, int64_t, const float*, float*);
struct TileVariants {
  RunTile* part;
  RunTile* whole;
};
template <int KW, int Step>
constexpr TileVariants tile_variants = {run_tile<KW, Step, false>, run_tile<KW, Step, true>};
constexpr TileVariants run_tiles[widest][widest] = {
    {tile_variants<1, 1>},
    {tile_variants<2, 1>, tile_variants<2, 2>},
    {tile_variants<3, 1>, tile_variants<3, 2>, tile_variants<3, 3>},
    {tile_variants<4, 1>, tile_variants<4, 2>, tile_variants<4, 3>, tile_variants<4, 4>},
    {tile_variants<5, 1>, tile_variants<5, 2>, tile_variants<5, 3>, tile_variants<5, 4>, tile_variants<5, 5>},
};

/**
 * Cuts the row of `count` positions from `begin` on into tiles of full width, as far as possible: where results do not add up, the last
 * one goes back over what the one before has done. Returns how many.
 */
int64_t cut_row(const Correlation& k, int64_t step, int64_t begin, int64_t count, Tile* tiles) {
  const int64_t n = ceil_div(count, tile_width);
  for (int64_t t = 0; t < n; t++) {
    const int64_t width = smaller(tile_width, count - t * tile_width);
    const bool back = width < tile_width && t > 0 && !k.accumulate;
    Tile tile = {begin + (back ? count - tile_width : t * tile_width), back ? tile_width : width, 0};
    for (int64_t r = 0; r < tile.count; r++)
      for (int64_t kw = 0; kw < k.kw; kw++) {
        const int64_t column = (tile.begin + r) * k.sw - k.pw + kw;
        if (column >= 0 && column < k.in_w) tile.inside |= uint64_t{1} << (r * step + kw);
      }
    tiles[t] = tile;
  }
  return n;
}

/** Rows [begin, end) of out, for filters of at most `widest` columns. */
void correlate_narrow(const Correlation& k, const float* in, float* out, int64_t begin, int64_t end) {
  constexpr int64_t most = 64;  // tiles described at a time
  Tile tiles[most];
  const int64_t step = smaller(k.sw, k.kw);
  const TileVariants& run = run_tiles[k.kw - 1][step - 1];
  const uint64_t whole = (uint64_t{1} << columns_of(static_cast<int>(k.kw), static_cast<int>(step))) - 1;
  const int64_t in_row = k.in_w * k.channels;
  for (int64_t j = 0; j < k.out_w; j += most * tile_width) {
    const int64_t n = cut_row(k, step, j, smaller(most * tile_width, k.out_w - j), tiles);
    for (int64_t i = begin; i < end; i++) {
      const int64_t top = i * k.sh - k.ph, first_kh = smaller(larger(0, -top), k.kh);
      const int64_t rows = larger(0, smaller(k.kh, k.in_h - top) - first_kh);
      if (k.far) prefetch(in + (top + k.kh) * in_row, smaller(k.sh, k.in_h - top - k.kh) * in_row);
      for (int64_t t = 0; t < n; t++) {
        const Tile& tile = tiles[t];
        (tile.inside == whole ? run.whole : run.part)(k, tile, rows, in,
                                                      (top + first_kh) * in_row + (tile.begin * k.sw - k.pw) * k.channels,
                                                      k.w + first_kh * k.w_row, out + i * k.out_row + tile.begin * k.out_column);
      }
    }
  }
}

/** Rows [begin, end) of out. */
void correlate(const Correlation& k, const float* in, float* out, int64_t begin, int64_t end) {
  for (int64_t kw = 0; kw < k.kw; kw += widest) {
    Correlation part = k;
    part.kw = smaller(widest, k.kw - kw);
    part.pw = k.pw - kw;
    part.w = k.w + kw * k.w_column;
    if (kw > 0) {
      part.bias = nullptr;
      part.accumulate = true;
    }
    if (kw + widest < k.kw) part.function = Function::none;
    correlate_narrow(part, in, out, begin, end);
  }
}

/**
 * Channels in blocks, rows of a block side by side in a copy near the core. Columns that lie a multiple of the cache's ways apart share
 * its sets, and a window has many of them; in the copy they are neighbours.
 */
struct CompactCopy {
  static constexpr int64_t floats = 32 << 10;
  int64_t channels;  // of a block; 0 where a copy does not pay
  int64_t columns;   // of a row of the copy, padding included
  int64_t rows;      // of out that one copy serves

  explicit CompactCopy(const Correlation& k) : channels(0), columns((k.out_w - 1) * k.sw + k.kw), rows(0) {
    if (k.channels % 256 != 0 || k.kh == 1) return;
    for (channels = 64; channels >= lanes; channels /= 2) {
      const int64_t in_rows = floats / (columns * channels);
      if (in_rows < 2 * k.kh) continue;
      rows = (in_rows - k.kh) / k.sh + 1;
      return;
    }
    channels = 0;
  }
};

/** All rows of out, for the channels [c, c + copy.channels). */
void correlate_compact(Correlation k, const CompactCopy& copy, const float* in, float* out, int64_t c) {
  constexpr int64_t pixels_ahead = 12;
  alignas(64) float buffer[CompactCopy::floats];
  const Correlation whole = k;
  const int64_t width = copy.channels, columns = smaller(k.in_w, copy.columns - k.pw);
  k.channels = width;
  k.w += c;
  if (k.bias) k.bias += c;
  k.far = false;
  k.in_w = copy.columns;
  k.pw = 0;
  const auto clear = [](float* to, int64_t count) {
    for (int64_t i = 0; i < count; i += lanes) store(to + i, zero());
    return to + count;
  };
  for (int64_t i = 0; i < k.out_h; i += copy.rows) {
    const int64_t count = smaller(copy.rows, k.out_h - i), top = i * k.sh - whole.ph;
    const int64_t first = smaller(larger(top, 0), whole.in_h), last = larger(smaller(top + (count - 1) * k.sh + k.kh, whole.in_h), first);
    float* to = buffer;
    for (int64_t row = first; row < last; row++) {
      const float* from = in + row * whole.in_w * whole.channels + c;
      to = clear(to, whole.pw * width);
      for (int64_t j = 0; j < columns; j++, from += whole.channels, to += width)
        for (int64_t v = 0; v < width; v += lanes) {
          if (v % 16 == 0) __builtin_prefetch(from + pixels_ahead * whole.channels + v);
          store(to + v, load(from + v));
        }
      to = clear(to, (k.in_w - whole.pw - columns) * width);
    }
    k.in_h = last - first;
    k.ph = first - top;
    correlate(k, buffer, out + i * k.out_row + c, 0, count);
  }
}

/** Whether to fetch rows ahead: channel by channel, they are walked in strides that the hardware does not foresee. */
bool is_far(const DepthwiseShape& s) { return s.x.size() + s.y.size() > 1 << 18; }

/** Images are split into bands of rows where there are few of them. */
int64_t band_count(int64_t images, int64_t rows) { return smaller(rows, ceil_div(16, images)); }

}  // namespace

void depthwise_forward(const DepthwiseShape& s, const DepthwiseForwardArgs& a, ThreadPool& pool) {
  const Window& window = s.window;
  const int64_t c = s.x.c, images = s.x.n * s.x.t;
  if (s.y.size() == 0) return;
  const Correlation k = {.channels = c,
                         .in_h = s.x.h,
                         .in_w = s.x.w,
                         .out_h = s.y.h,
                         .out_w = s.y.w,
                         .out_row = s.y.w * c,
                         .out_column = c,
                         .kh = window.kh,
                         .kw = window.kw,
                         .w_row = window.kw * c,
                         .w_column = c,
                         .sh = window.sh,
                         .sw = window.sw,
                         .ph = window.ph,
                         .pw = window.pw,
                         .w = a.w,
                         .bias = a.bias,
                         .accumulate = false,
                         .function = a.function,
                         .far = is_far(s)};
  if (const CompactCopy copy(k); copy.channels > 0) {
    const int64_t blocks = c / copy.channels;
    pool.run(images * blocks, [&](int64_t task, int) {
      const int64_t image = task / blocks;
      correlate_compact(k, copy, a.x + image * s.x.h * s.x.w * c, a.y + image * s.y.h * s.y.w * c, task % blocks * copy.channels);
    });
    return;
  }
  const int64_t bands = band_count(images, s.y.h);
  pool.run(images * bands, [&](int64_t task, int) {
    const int64_t image = task / bands, band = task % bands;
    correlate(k, a.x + image * s.x.h * s.x.w * c, a.y + image * s.y.h * s.y.w * c, s.y.h * band / bands, s.y.h * (band + 1) / bands);
  });
}

void depthwise_data_gradient(const DepthwiseShape& s, const DepthwiseDataGradientArgs& a, ThreadPool& pool) {
  const Window& window = s.window;
  const int64_t c = s.x.c, images = s.x.n * s.x.t, sh = window.sh, sw = window.sw;
  if (s.x.size() == 0) return;
  const int64_t bands = band_count(images, ceil_div(s.x.h, sh));
  pool.run(images * bands, [&](int64_t task, int) {
    const int64_t image = task / bands, band = task % bands;
    // dx[row + i·SH, column + j·SW] is met by the taps kh ≡ row + PH (mod SH), kw ≡ column + PW (mod SW) only: a convolution of
    // stride 1 over dy with those taps, mirrored.
    for (int64_t row = 0; row < smaller(sh, s.x.h); row++)
      for (int64_t column = 0; column < smaller(sw, s.x.w); column++) {
        const int64_t tap_h = (row + window.ph) % sh, tap_w = (column + window.pw) % sw;
        const bool met = tap_h < window.kh && tap_w < window.kw;  // not where the stride leaves gaps between the windows
        const int64_t kh = met ? ceil_div(window.kh - tap_h, sh) : 0;
        const int64_t kw = met ? ceil_div(window.kw - tap_w, sw) : 1;
        const Correlation k = {.channels = c,
                               .in_h = s.y.h,
                               .in_w = s.y.w,
                               .out_h = ceil_div(s.x.h - row, sh),
                               .out_w = ceil_div(s.x.w - column, sw),
                               .out_row = sh * s.x.w * c,
                               .out_column = sw * c,
                               .kh = kh,
                               .kw = kw,
                               .w_row = -sh * window.kw * c,
                               .w_column = -sw * c,
                               .sh = 1,
                               .sw = 1,
                               .ph = kh - 1 - (row + window.ph) / sh,
                               .pw = kw - 1 - (column + window.pw) / sw,
                               .w = met ? a.w + ((tap_h + (kh - 1) * sh) * window.kw + tap_w + (kw - 1) * sw) * c : a.w,
                               .bias = nullptr,
                               .accumulate = a.accumulate,
                               .function = Function::none,
                               .far = is_far(s)};
        correlate(k, a.dy + image * s.y.h * s.y.w * c, a.dx + (image * s.x.h * s.x.w + row * s.x.w + column) * c, k.out_h * band / bands,
                  k.out_h * (band + 1) / bands);
      }
  });
}

namespace {

// Taps whose sums fit in registers beside one vector of dy and one of x.
constexpr int most_taps = registers == 32 ? 25 : 12;

struct Row {
  int64_t channels, columns, in_w, sw, pw;
  int64_t x_row, dw_row;
};

/** dw[g,kw] += Σ over a row of dy of dy[ow]·x[g, ow·SW+kw−PW] for G rows and KW columns of the filter. */
template <int G, int KW, class M>
void accumulate_taps(const Row& row, const float* x, const float* dy, float* dw, M mask) {
  const int64_t channels = row.channels, in_w = row.in_w, x_row = row.x_row, dw_row = row.dw_row;
  Vec sum[G * KW];
  unroll<G * KW>([&](auto i) TVN_INLINE { sum[i] = load(dw + i / KW * dw_row + i % KW * channels, mask); });
  const auto step = [&](int64_t ow, auto edge) TVN_INLINE {
    const Vec d = load(dy + ow * channels, mask);
    const int64_t left = ow * row.sw - row.pw;
    unroll<KW>([&](auto kw) TVN_INLINE {
      if (!edge || static_cast<uint64_t>(left + kw) < static_cast<uint64_t>(in_w))
        unroll<G>([&](auto g)
                      TVN_INLINE { sum[g * KW + kw] = fma(load(x + g * x_row + (left + kw) * channels, mask), d, sum[g * KW + kw]); });
    });
  };
  int64_t ow = 0;
  for (; ow < row.columns && ow * row.sw < row.pw; ow++) step(ow, Index<1>{});
  for (; ow < row.columns && ow * row.sw - row.pw + KW <= in_w; ow++) step(ow, Index<0>{});
  for (; ow < row.columns; ow++) step(ow, Index<1>{});
  unroll<G * KW>([&](auto i) TVN_INLINE { store(dw + i / KW * dw_row + i % KW * channels, sum[i], mask); });
}

template <int G, int KW>
void accumulate_row(const Row& row, const float* x, const float* dy, float* dw) {
  if constexpr (G * KW <= most_taps) {
    for_vectors(0, row.channels, [&](int64_t c, auto mask) { accumulate_taps<G, KW>(row, x + c, dy + c, dw + c, mask); });
  }
}

using AccumulateRow = void(const Row&, const float*, const float*, float*);
#define TVN_WIDTHS(G) \
  { accumulate_row<G, 1>, accumulate_row<G, 2>, accumulate_row<G, 3>, accumulate_row<G, 4>, accumulate_row<G, 5> }
constexpr AccumulateRow* accumulate_rows[][widest] = {TVN_WIDTHS(1), TVN_WIDTHS(2), TVN_WIDTHS(3), TVN_WIDTHS(4), TVN_WIDTHS(5)};
#undef TVN_WIDTHS

/** db[c] += Σ over a row of dy. */
void accumulate_bias(int64_t channels, int64_t columns, const float* dy, float* db) {
  for_vectors(0, channels, [&](int64_t c, auto mask) {
    Vec sum = load(db + c, mask);
    for (int64_t ow = 0; ow < columns; ow++) sum = sum + load(dy + ow * channels + c, mask);
    store(db + c, sum, mask);
  });
}

/** out = the sum of the chunks, in their order. */
void add_chunks(const float* scratch, int64_t chunks, int64_t pitch, int64_t size, float* out, ThreadPool& pool) {
  constexpr int64_t part = 16 * lanes;
  pool.run(ceil_div(size, part), [&](int64_t task, int) {
    for_vectors(task * part, smaller(size, (task + 1) * part), [&](int64_t i, auto mask) {
      Vec total = zero();
      for (int64_t chunk = 0; chunk < chunks; chunk++) total = total + load(scratch + chunk * pitch + i, mask);
      store(out + i, total, mask);
    });
  });
}

}  // namespace

void depthwise_weight_gradient(const DepthwiseShape& s, const DepthwiseWeightGradientArgs& a, ThreadPool& pool) {
  const Window& window = s.window;
  const int64_t c = s.x.c, taps = window.kh * window.kw, partial = (taps + 1) * c;
  const int64_t rows = depthwise_rows(s), chunks = depthwise_chunks(s);
  const bool far = is_far(s);
  pool.run(chunks, [&](int64_t chunk, int) {
    float* const dw = a.scratch + chunk * partial;
    for (int64_t i = 0; i < partial; i++) dw[i] = 0;
    for (int64_t r = rows * chunk / chunks; r < rows * (chunk + 1) / chunks; r++) {
      const float* dy = a.dy + r * s.y.w * c;
      const float* x = a.x + r / s.y.h * s.x.h * s.x.w * c;
      const int64_t top = r % s.y.h * window.sh - window.ph;
      const int64_t end = smaller(window.kh, s.x.h - top);
      if (far) {
        prefetch(dy + s.y.w * c, r + 1 < rows ? s.y.w * c : 0);
        prefetch(x + (top + window.kh) * s.x.w * c, smaller(window.sh, s.x.h - top - window.kh) * s.x.w * c);
      }
      for (int64_t kw = 0; kw < window.kw; kw += widest) {
        const int64_t width = smaller(widest, window.kw - kw);
        const int64_t group = smaller(widest, most_taps / width);
        const Row row = {c, s.y.w, s.x.w, window.sw, window.pw - kw, s.x.w * c, window.kw * c};
        for (int64_t kh = larger(0, -top); kh < end; kh += group) {
          const int64_t height = smaller(group, end - kh);
          accumulate_rows[height - 1][width - 1](row, x + (top + kh) * s.x.w * c, dy, dw + (kh * window.kw + kw) * c);
        }
      }
      if (a.db) accumulate_bias(c, s.y.w, dy, dw + taps * c);
    }
  });
  add_chunks(a.scratch, chunks, partial, taps * c, a.dw, pool);
  if (a.db) add_chunks(a.scratch + taps * c, chunks, partial, c, a.db, pool);
}

}  // namespace tvn::TVN_ISA
