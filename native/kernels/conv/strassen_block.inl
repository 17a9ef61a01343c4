// Strassen's algorithm on a block of positions: its factors, their products with the weights, and what becomes of them (strassen.inl).
#include <cstring>

#include "kernels/conv/strassen_split.inl"

namespace tvn::TVN_ISA {
namespace {

constexpr int64_t panel_width = 2 * lanes;
/** One register tile for each factor with two levels, two with one. More positions drive each other out of L2. */
constexpr int64_t block_positions = 4 * most_matrix_rows(2);
/** The pixels of x that the positions of a clip read, and the size of y; `levels` of Strassen are applied. */
struct PixelMatrix {
  int64_t clips, positions, c, oc;
  int levels;
  int64_t h, w, pitch_clip, pitch_t, pitch_h, pitch_w;  // positions per frame and row; floats of x
  Tiling tiling;

  constexpr int64_t pixel(int64_t clip, int64_t position) const {
    return clip * pitch_clip + position / (h * w) * pitch_t + position / w % h * pitch_h + position % w * pitch_w;
  }
};

constexpr bool is_pixel_matrix(const ConvShape& s) {
  const Window& k = s.window;
  return k.kt == 1 && k.kh == 1 && k.kw == 1 && k.pt == 0 && k.ph == 0 && k.pw == 0;
}

constexpr PixelMatrix pixel_matrix(const ConvShape& s, int levels) {
  const Window& k = s.window;
  const int64_t row = s.x.w * s.x.c, frame = s.x.h * row;
  return {.clips = s.y.n,
          .positions = s.y.t * s.y.h * s.y.w,
          .c = s.x.c,
          .oc = s.y.c,
          .levels = levels,
          .h = s.y.h,
          .w = s.y.w,
          .pitch_clip = s.x.t * frame,
          .pitch_t = k.st * frame,
          .pitch_h = k.sh * row,
          .pitch_w = k.sw * s.x.c,
          .tiling = s.tiling};
}

/** How a matrix is cut. */
template <class S>
struct StrassenLayout {
  int64_t terms, depth;      // of x in a part, in words and channels, padded with zeros
  int64_t width;             // channels of y in a part, padded with zeros
  int64_t pitch;             // of a row of factors, in words: rows of a tile lie in different cache sets
  int64_t rows;              // most of a group
  int64_t factors, results;  // scratch, in floats

  constexpr StrassenLayout(const PixelMatrix& m)
      : terms(ceil_div(ceil_div(m.c, S::parts), channels_per_word * lanes) * lanes),
        depth(terms * channels_per_word),
        width(ceil_div(ceil_div(m.oc, S::parts), panel_width) * panel_width),
        pitch(terms % 512 == 0 ? terms + 16 : terms),
        rows(ceil_div(smaller(m.positions, block_positions), S::parts)),
        factors(S::products * rows * pitch),
        results(S::products * rows * panel_width) {}
  constexpr int64_t panels() const { return width / panel_width; }
  constexpr int64_t scratch(int64_t channels) const { return factors + results + ceil_div(channels, 16) * 16; }
  constexpr int64_t panel_weights() const { return S::products * terms * panel_width; }
};

/** Positions [begin, end) of a clip. */
struct PixelBlock {
  int64_t clip, begin, end;
};
constexpr int64_t pixel_blocks(const PixelMatrix& m) { return ceil_div(m.positions, block_positions); }
constexpr PixelBlock pixel_block(const PixelMatrix& m, int64_t i) {
  const int64_t blocks = pixel_blocks(m), of_clip = i % blocks;
  return {i / blocks, m.positions * of_clip / blocks, m.positions * (of_clip + 1) / blocks};
}

/** The left factors of all products for a block. */
template <class S>
void strassen_factors(const PixelMatrix& m, const StrassenLayout<S>& l, const PixelBlock& b, const float* x, const float* zeros,
                      float* factors) {
  const int64_t rows = ceil_div(b.end - b.begin, S::parts);
  for (int64_t r = 0; r < rows; r++) {
    const float* pixel[S::parts];
    for (int g = 0; g < S::parts; g++) {
      const int64_t position = b.begin + g * rows + r;
      pixel[g] = position < b.end ? x + m.pixel(b.clip, position) : zeros;
    }
    float* to = factors + r * l.pitch;
    const auto vectors = [&](int64_t k, auto mask) {  // mask(how many channels are left)
      Vec before[S::products];
      unroll<channels_per_word>([&](auto e) TVN_INLINE {
        Vec parts[S::parts * S::parts];
        unroll<S::parts * S::parts>([&](auto i) TVN_INLINE {
          const int64_t c = i % S::parts * l.depth + k + e * lanes;
          parts[i] = load(pixel[i / S::parts] + c, mask(m.c - c));
        });
        strassen_split<LeftSide, S::levels>(parts, [&](auto i, Vec v) TVN_INLINE {
          if constexpr (e == channels_per_word - 1)
            store(to + i * rows * l.pitch + k / channels_per_word, to_words(before[i], v));
          else
            before[i] = v;
        });
      });
    };
    constexpr int64_t step = channels_per_word * lanes;
    const int64_t whole = larger(0, m.c - (S::parts - 1) * l.depth) / step * step;  // where every part has whole vectors
    for (int64_t k = 0; k < whole; k += step) vectors(k, [](int64_t) { return All{}; });
    for (int64_t k = whole; k < l.depth; k += step) vectors(k, [](int64_t left) { return first(left); });
  }
}

/** y = f(add + scale · (bias + result)); pointers at the clip's first position, null for none. */
struct StrassenOutput {
  const float* bias;
  const float* scale;
  const float* add;
  Function function;
  float* y;
};

/** The columns of a panel in every part of y. */
template <class S>
void strassen_merge_panel(const PixelMatrix& m, const StrassenLayout<S>& l, const PixelBlock& b, int64_t panel, const float* results,
                          const StrassenOutput& a) {
  const int64_t rows = ceil_div(b.end - b.begin, S::parts);
  for (int64_t v = 0; v < panel_width; v += lanes) {
    Vec bias[S::parts], scale[S::parts];
    int64_t column[S::parts];
    unroll<S::parts>([&](auto h) TVN_INLINE {
      column[h] = h * l.width + panel * panel_width + v;
      bias[h] = a.bias ? load(a.bias + column[h], first(m.oc - column[h])) : zero();
      scale[h] = a.scale ? load(a.scale + column[h], first(m.oc - column[h])) : broadcast(1);
    });
    for (int64_t r = 0; r < rows; r++) {
      Vec parts[S::parts * S::parts];
      strassen_merge<S::levels>([&](auto i) TVN_INLINE { return load(results + (i * rows + r) * panel_width + v); }, parts);
      unroll<S::parts * S::parts>([&](auto i) TVN_INLINE {
        constexpr int h = i % S::parts;
        const int64_t position = b.begin + i / S::parts * rows + r, at = position * m.oc + column[h];
        if (position >= b.end || column[h] >= m.oc) return;
        const auto finish = [&](auto mask) TVN_INLINE {
          Vec y = (parts[i] + bias[h]) * scale[h];
          if (a.add) y = y + load(a.add + at, mask);
          store(a.y + at, apply(a.function, y), mask);
        };
        m.oc - column[h] >= lanes ? finish(All{}) : finish(first(m.oc - column[h]));
      });
    }
  }
}

/** The panels [first_panel, last_panel) of a block. */
template <class S>
void strassen_block(const PixelMatrix& m, const PixelBlock& b, const PixelBlock& next, const float* x, const float* packed,
                    int64_t first_panel, int64_t last_panel, const StrassenOutput& output, float* scratch) {
  const StrassenLayout<S> l(m);
  float* const factors = scratch;
  float* const results = factors + l.factors;
  float* const zeros = results + l.results;
  std::memset(zeros, 0, static_cast<std::size_t>(m.c) * sizeof(float));
  strassen_factors<S>(m, l, b, x, zeros, factors);

  constexpr int64_t most = most_matrix_rows(2);
  const int64_t rows = ceil_div(b.end - b.begin, S::parts), tiles = ceil_div(rows, most), count = rows / tiles, longer = rows % tiles;
  const bool dense = m.pitch_w == m.c;
  Ahead ahead(dense ? Region{x + m.pixel(next.clip, next.begin), 1, 1, 0, 0, (next.end - next.begin) * m.c} : Region{}, {},
              (last_panel - first_panel) * S::products * tiles, l.terms);
  for (int64_t panel = first_panel; panel < last_panel; panel++) {
    for (int64_t p = b.begin; p < b.end && m.tiling.fetch_y; p++)  // for the merge
      for (int64_t h = 0; h < S::parts; h++) {
        const float* y = output.y + p * m.oc + h * l.width + panel * panel_width;
        for (int64_t i = 0; i < panel_width; i += 16) __builtin_prefetch(y + i, 1, 2);
      }
    const float* w = packed + panel * l.panel_weights();
    float* y = results;
    const float* row = factors;
    for (int64_t i = 0; i < S::products; i++, w += l.terms * panel_width)
      for (int64_t j = 0; j < tiles; j++) {
        const int64_t now = count + (j < longer);
        matrix_tile_of(now, 2)({row, l.pitch, l.terms, w, y, panel_width, ahead.call()});
        row += now * l.pitch;
        y += now * panel_width;
      }
    strassen_merge_panel<S>(m, l, b, panel, results, output);
  }
}

/** Packs the weights: panel after panel, in it product after product. */
template <class S>
void strassen_pack(const PixelMatrix& m, const Weights& w, float* packed, ThreadPool& pool) {
  const StrassenLayout<S> l(m);
  pool.run(l.panels() * l.terms, [&](int64_t task, int) {
    const int64_t panel = task / l.terms, k = task % l.terms;
    float* to = packed + panel * l.panel_weights() + k * panel_width;
    for (int64_t v = 0; v < panel_width; v += lanes) {
      float factors[channels_per_word][S::products][lanes];
      unroll<channels_per_word>([&](auto e) TVN_INLINE {
        Vec parts[S::parts * S::parts];
        for (int i = 0; i < S::parts * S::parts; i++) {
          const int64_t c = i / S::parts * l.depth + k * channels_per_word + e, oc = i % S::parts * l.width + panel * panel_width + v;
          float values[lanes] = {};
          for (int64_t j = 0; j < lanes && c < m.c && oc + j < m.oc; j++) values[j] = w.at[c * w.per_c + (oc + j) * w.per_oc];
          parts[i] = load(values);
        }
        strassen_split<RightSide, S::levels>(parts, [&](auto i, Vec value) TVN_INLINE { store(factors[e][i], value); });
      });
      for (int i = 0; i < S::products; i++) {
        WordSource from;
        for (int e = 0; e < channels_per_word; e++) from.channel[e] = factors[e][i];
        for (int j = 0; j < lanes; j++) to[i * l.terms * panel_width + v + j] = to_word(from, j);
      }
    }
  });
}

}  // namespace
}  // namespace tvn::TVN_ISA
