// Winograd on tiles: the shape of the problem, how its work is cut, and the transforms of tiles into and out of the matrices that are
// multiplied (winograd.inl).
#include "kernels/conv/winograd_transform.inl"

namespace tvn::TVN_ISA {
namespace {

/** y[oc] = f(add + scale · (bias + Σ x·w)), both passes that this computes. Images are frames. */
struct Winograd {
  int64_t images, clip_images;
  int64_t h, w, c;     // x
  int64_t oh, ow, oc;  // y
  int64_t kernel, stride, ph, pw;
  Tiling tiling = {};
};

constexpr int64_t phases(const Winograd& p) { return p.stride * p.stride; }
constexpr int64_t terms(const Winograd& p) { return phases(p) * p.c; }  // of a product's sum

/** The taps of the largest phase. */
constexpr int64_t filter_taps(int64_t kernel, int64_t stride) { return ceil_div(kernel, stride); }

/** Tiles of 5×5 results would double the error with 3 and 5 taps. */
constexpr bool has_filtering(int outputs, int64_t taps) { return outputs == 4 || (outputs == 5 && taps % 2 == 0); }

/** Calls f with the filtering for a kernel that has Outputs × Outputs results in a tile. */
template <int Outputs, class Call>
auto with_filtering(const Winograd& p, const Call& call) {
  switch (filter_taps(p.kernel, p.stride)) {
    case 2: return call(Filtering<Outputs, 2>{});
    case 3: return call(Filtering<4, 3>{});
    case 4: return call(Filtering<Outputs, 4>{});
    default: return call(Filtering<4, 5>{});
  }
}

constexpr int64_t panel_vectors = 2;
constexpr int64_t block_tiles =
    most_matrix_rows(panel_vectors) < 12 ? 2 * most_matrix_rows(panel_vectors) : most_matrix_rows(panel_vectors);
constexpr int64_t strip_tiles = 8;  // of a row of tiles, whose columns are transformed together

/** Where the matrices of a block lie, in floats. Pitches keep neighbours out of one cache set. */
template <class F>
struct WinogradLayout {
  static constexpr int64_t matrices = F::products * F::products;
  int64_t tiles_h, tiles_w, tiles;  // of all images
  int64_t block;                    // tiles of a block
  int64_t row_in, row_out;          // pitch of a tile's row in a matrix
  int64_t matrix_in, matrix_out;    // pitch of the matrices
  int64_t columns;                  // scratch of a strip
  int64_t scratch;                  // of a thread

  explicit constexpr WinogradLayout(const Winograd& p) {
    const auto lines = [](int64_t floats) { return ceil_div(floats, 16) * 16; };
    const auto odd_lines = [&](int64_t floats) { return lines(floats) + (lines(floats) / 16 % 2 == 0 ? 16 : 0); };
    tiles_h = ceil_div(p.oh, F::outputs);
    tiles_w = ceil_div(p.ow, F::outputs);
    tiles = p.images * tiles_h * tiles_w;
    block = smaller(tiles, scaled(block_tiles, p.tiling));
    row_in = lines(terms(p)) + (lines(terms(p)) % 256 == 0 ? 16 : 0);
    row_out = lines(p.oc);
    matrix_in = odd_lines(block * row_in);
    matrix_out = odd_lines(block * row_out);
    columns = (strip_tiles * F::outputs + F::taps - 1) * F::products * lanes;
    scratch = matrices * (matrix_in + matrix_out) + columns + lines(p.c);
  }
};

/** The first of `count` tiles of one row of tiles of one image. */
struct Strip {
  int64_t image, row, column, count;
};

/** The tiles of [begin, end) that lie in one row of tiles, at most `most` of them. */
template <class F>
constexpr Strip strip(const WinogradLayout<F>& l, int64_t begin, int64_t end, int64_t most = strip_tiles) {
  const int64_t column = begin % l.tiles_w, row = begin / l.tiles_w;
  return {row / l.tiles_h, row % l.tiles_h, column, smaller(most, smaller(end - begin, l.tiles_w - column))};
}

/** The part of x under a strip. */
template <class F>
Region input_region(const Winograd& p, const Strip& s, const float* x) {
  const auto part = [&](int64_t first, int64_t count, int64_t pad, int64_t size) {
    const int64_t begin = first * F::outputs * p.stride - pad, end = begin + (count * F::outputs - 1) * p.stride + p.kernel;
    return Block::Range{larger(begin, 0), larger(smaller(end, size) - larger(begin, 0), 0)};
  };
  const Block::Range rows = part(s.row, 1, p.ph, p.h), columns = part(s.column, s.count, p.pw, p.w);
  const int64_t pitch = p.w * p.c;
  return {x + s.image * p.h * pitch + rows.begin * pitch + columns.begin * p.c, 1, rows.size, 0, pitch, columns.size * p.c};
}

/** Tiles of a strip into the rows of the input matrices from `v` on. */
template <class F>
void winograd_input(const Winograd& p, const WinogradLayout<F>& l, const Strip& s, const float* x, float* v, float* columns,
                    const float* zeros) {
  constexpr int n = F::products, m = F::outputs;
  const float* image = x + s.image * p.h * p.w * p.c;
  for (int64_t phase = 0; phase < phases(p); phase++) {
    const int64_t top = s.row * m * p.stride + phase / p.stride - p.ph, left = s.column * m * p.stride + phase % p.stride - p.pw;
    const float* row[n];
    int64_t pitch[n];  // of pixels; 0 in a row outside the image, which is one pixel of zeros
    for (int i = 0; i < n; i++) {
      const int64_t y = top + i * p.stride;
      const bool inside = y >= 0 && y < p.h;
      row[i] = inside ? image + y * p.w * p.c : zeros;
      pitch[i] = inside ? p.c : 0;
    }
    const int64_t count = s.count * m + F::taps - 1;
    for_vectors(0, p.c, [&](int64_t c, auto mask) {
      for (int64_t j = 0; j < count; j++) {
        float* to = columns + j * n * lanes;
        const int64_t at = left + j * p.stride;
        if (at < 0 || at >= p.w) {
          unroll<n>([&](auto i) TVN_INLINE { store(to + i * lanes, zero()); });
          continue;
        }
        Vec in[n], out[n];
        unroll<n>([&](auto i) TVN_INLINE { in[i] = load(row[i] + at * pitch[i] + c, mask); });
        transform_input<F>(in, out);
        unroll<n>([&](auto i) TVN_INLINE { store(to + i * lanes, out[i]); });
      }
      for (int64_t t = 0; t < s.count; t++) {
        float* to = v + t * l.row_in + phase * p.c + c;
        const float* from = columns + t * m * n * lanes;
        for (int a = 0; a < n; a++, to += n * l.matrix_in) {
          Vec in[n], out[n];
          unroll<n>([&](auto b) TVN_INLINE { in[b] = load(from + (b * n + a) * lanes); });
          transform_input<F>(in, out);
          unroll<n>([&](auto b) TVN_INLINE { store(to + b * l.matrix_in, out[b], mask); });
        }
      }
    });
  }
}

struct WinogradArgs {
  const float* x;
  const float* packed;
  const float* bias;
  const float* scale;  // [clips, OC], null for none
  const float* add;
  Function function;
  float* y;
  float* scratch;
};

/** One tile of y from the output matrices, for the channels [begin, end). */
template <class F>
void winograd_output(const Winograd& p, const WinogradLayout<F>& l, const Strip& s, const WinogradArgs& a, const float* matrices,
                     int64_t begin, int64_t end) {
  constexpr int n = F::products, m = F::outputs;
  const int64_t height = smaller(m, p.oh - s.row * m), width = smaller(m, p.ow - s.column * m);
  const int64_t first = ((s.image * p.oh + s.row * m) * p.ow + s.column * m) * p.oc;
  for_vectors(begin, end, [&](int64_t c, auto mask) {
    alignas(64) float rows[m * n * lanes];
    for (int b = 0; b < n; b++) {
      Vec in[n], out[m];
      unroll<n>([&](auto i) TVN_INLINE { in[i] = load(matrices + (i * n + b) * l.matrix_out + c); });
      transform_output<F>(in, out);
      unroll<m>([&](auto i) TVN_INLINE { store(rows + (i * n + b) * lanes, out[i]); });
    }
    const Vec bias = a.bias ? load(a.bias + c, mask) : zero();
    const Vec scale = a.scale ? load(a.scale + s.image / p.clip_images * p.oc + c, mask) : broadcast(1);
    for (int64_t i = 0; i < height; i++) {
      Vec in[n], out[m];
      unroll<n>([&](auto b) TVN_INLINE { in[b] = load(rows + (i * n + b) * lanes); });
      transform_output<F>(in, out);
      const int64_t at = first + i * p.ow * p.oc + c;
      if (p.tiling.fetch_y) unroll<m>([&](auto j) TVN_INLINE { __builtin_prefetch(a.y + at + (m + j) * p.oc, 1); });  // of the next tile
      unroll<m>([&](auto j) TVN_INLINE {
        if (j >= width) return;
        Vec y = (out[j] + bias) * scale;
        if (a.add) y = y + load(a.add + at + j * p.oc, mask);
        store(a.y + at + j * p.oc, apply(a.function, y), mask);
      });
    }
  });
}

}  // namespace
}  // namespace tvn::TVN_ISA
