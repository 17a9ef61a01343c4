// Dense convolution with square kernels of 3 to 5 by Winograd's F(M×M, R×R): tiles of M×M results need (M + R − 1)² products for each pair
// of channels, up to five times fewer than M²·R². Stride 2 is the sum of four convolutions of stride 1, one for each phase of the
// input; their channels lie side by side, so that they are summed in the transformed domain (see winograd_transform.inl for F).
//
// A block of tiles is transformed into a matrix of tiles × input channels for each of the N² products, multiplied with the transformed
// weights by the register tile of the direct convolution, and transformed back. How tiles are grouped into blocks follows from the
// shape alone, and no sum crosses a tile: results are bit-identical for any number of threads.
#include <cstring>

#include "kernels/conv/winograd_transform.inl"

namespace tvn::TVN_ISA {
namespace {

/** y[oc] = f(bias + add + Σ x·w), both passes that this computes. Images are frames. */
struct Winograd {
  int64_t images;
  int64_t h, w, c;     // x
  int64_t oh, ow, oc;  // y
  int64_t kernel, stride, ph, pw;
};

constexpr bool can_winograd(const Window& k) {
  return k.kt == 1 && k.st == 1 && k.kh == k.kw && k.sh == k.sw && k.kh <= 5 && k.kh >= (k.sh == 1 ? 3 : 4) && k.sh <= 2;
}
bool winograd_supports(const ConvShape& s) { return can_winograd(s.window); }
bool winograd_gradient_supports(const ConvShape& s) { return can_winograd(s.window) && s.window.sh == 1; }

constexpr Winograd winograd_forward_problem(const ConvShape& s) {
  const Window& k = s.window;
  return {s.x.n * s.x.t, s.x.h, s.x.w, s.x.c, s.y.h, s.y.w, s.y.c, k.kh, k.sh, k.ph, k.pw};
}
/** dx is dy convolved with the mirrored and transposed weights. */
constexpr Winograd winograd_gradient_problem(const ConvShape& s) {
  const Window& k = s.window;
  return {s.x.n * s.x.t, s.y.h, s.y.w, s.y.c, s.x.h, s.x.w, s.x.c, k.kh, 1, k.kh - 1 - k.ph, k.kw - 1 - k.pw};
}

/** Calls f with the Filtering for a kernel: its taps are those of the largest phase. */
template <class Call>
auto with_filtering(const Winograd& p, const Call& call) {
  switch (ceil_div(p.kernel, p.stride)) {
    case 2: return call(Filtering<4, 2>{});
    case 3: return call(Filtering<4, 3>{});
    case 4: return call(Filtering<4, 4>{});
    default: return call(Filtering<4, 5>{});
  }
}

constexpr int64_t phases(const Winograd& p) { return p.stride * p.stride; }
constexpr int64_t terms(const Winograd& p) { return phases(p) * p.c; }  // of a product's sum

/** How the work of one shape is cut and where its matrices lie; in floats. */
struct WinogradLayout {
  int64_t tiles_h, tiles_w, tiles;          // of all images
  int64_t block;                            // tiles of a block
  int64_t row_in, row_out;                  // pitch of a tile's row in a matrix
  int64_t matrix_in, matrix_out;            // pitch of the matrices of neighbouring products
  int64_t strip;                            // scratch of an input transform
  int64_t scratch, products;                // of a thread; N²
};

constexpr int64_t strip_tiles = 8;  // tiles of a row whose columns are transformed together

template <class F>
constexpr WinogradLayout layout(const Winograd& p) {
  constexpr int64_t n = F::products, m = F::outputs;
  constexpr int64_t l2_floats = 96 << 10;  // of both matrices
  const auto lines = [](int64_t floats) { return ceil_div(floats, 16) * 16; };
  const auto odd_lines = [&](int64_t floats) { return lines(floats) + (lines(floats) / 16 % 2 == 0 ? 16 : 0); };  // no two in the same cache set
  WinogradLayout l{};
  l.products = n * n;
  l.tiles_h = ceil_div(p.oh, m);
  l.tiles_w = ceil_div(p.ow, m);
  l.tiles = p.images * l.tiles_h * l.tiles_w;
  l.row_in = terms(p) % 256 == 0 ? terms(p) + 16 : lines(terms(p));
  l.row_out = lines(p.oc);
  const int64_t rows = max_rows(2), fit = l2_floats / (l.products * (l.row_in + l.row_out)) / rows;
  l.block = smaller(l.tiles, rows * smaller(larger(fit, 1), 2));
  l.matrix_in = odd_lines(l.block * l.row_in);
  l.matrix_out = odd_lines(l.block * l.row_out);
  l.strip = (strip_tiles * m + F::taps - 1) * n * lanes;
  l.scratch = l.products * (l.matrix_in + l.matrix_out) + l.strip + lines(p.c);
  return l;
}

/** The first of `count` tiles of one row of tiles of one image. */
struct Strip {
  int64_t image, row, column, count;
};

/** Tiles of a strip into the rows of the input matrices from `v` on. */
template <class F>
void winograd_input(const Winograd& p, const WinogradLayout& l, const Strip& s, const float* x, float* v, float* columns, const float* zeros) {
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
  const float* add;
  Function function;
  float* y;
  float* scratch;
};

/** One tile of y from the output matrices, for the channels [begin, end). */
template <class F>
void winograd_output(const Winograd& p, const WinogradLayout& l, const Strip& s, const WinogradArgs& a, const float* products, int64_t begin,
                     int64_t end) {
  constexpr int n = F::products, m = F::outputs;
  const int64_t height = smaller(m, p.oh - s.row * m), width = smaller(m, p.ow - s.column * m);
  const int64_t first = ((s.image * p.oh + s.row * m) * p.ow + s.column * m) * p.oc;
  for_vectors(begin, end, [&](int64_t c, auto mask) {
    alignas(64) float rows[m * n * lanes];
    for (int b = 0; b < n; b++) {
      Vec in[n], out[m];
      unroll<n>([&](auto i) TVN_INLINE { in[i] = load(products + (i * n + b) * l.matrix_out + c); });
      transform_output<F>(in, out);
      unroll<m>([&](auto i) TVN_INLINE { store(rows + (i * n + b) * lanes, out[i]); });
    }
    const Vec bias = a.bias ? load(a.bias + c, mask) : zero();
    for (int64_t i = 0; i < height; i++) {
      Vec in[n], out[m];
      unroll<n>([&](auto b) TVN_INLINE { in[b] = load(rows + (i * n + b) * lanes); });
      transform_output<F>(in, out);
      const int64_t at = first + i * p.ow * p.oc + c;
      unroll<m>([&](auto j) TVN_INLINE { __builtin_prefetch(a.y + at + (m + j) * p.oc, 1); });  // of the next tile
      unroll<m>([&](auto j) TVN_INLINE {
        if (j >= width) return;
        Vec y = out[j] + bias;
        if (a.add) y = y + load(a.add + at + j * p.oc, mask);
        store(a.y + at + j * p.oc, apply(a.function, y), mask);
      });
    }
  });
}

template <class F>
void winograd(const Winograd& p, const WinogradArgs& a, ThreadPool& pool) {
  const WinogradLayout l = layout<F>(p);
  if (l.tiles == 0 || p.oc == 0) return;
  const int64_t vectors = ceil_div(p.oc, lanes), all = panels(vectors, widest), blocks = ceil_div(l.tiles, l.block);
  // few blocks: threads share the output channels of a block, and each transforms the input for itself
  const int64_t groups = pool.threads() == 1 ? 1 : smaller(all, ceil_div(2 * pool.threads(), blocks));
  pool.run(blocks * groups, [&](int64_t task, int thread) {
    float* const v = a.scratch + thread * l.scratch;
    float* const products = v + l.products * l.matrix_in;
    float* const columns = products + l.products * l.matrix_out;
    float* const zeros = columns + l.strip;
    std::memset(zeros, 0, static_cast<std::size_t>(p.c) * sizeof(float));
    const int64_t begin = task / groups * l.block, end = smaller(begin + l.block, l.tiles), count = end - begin;
    const auto strip = [&](int64_t tile) {
      const int64_t column = tile % l.tiles_w;
      return Strip{tile / l.tiles_w / l.tiles_h, tile / l.tiles_w % l.tiles_h, column, smaller(strip_tiles, smaller(end - tile, l.tiles_w - column))};
    };
    for (int64_t tile = begin; tile < end;) {
      const Strip s = strip(tile);
      winograd_input<F>(p, l, s, a.x, v + (tile - begin) * l.row_in, columns, zeros);
      tile += s.count;
    }

    int64_t read[2 * max_rows(2)], write[2 * max_rows(2)];
    for (int64_t i = 0; i < count; i++) {
      read[i] = i * l.row_in;
      write[i] = i * l.row_out;
    }
    const int64_t group = task % groups, first_panel = all * group / groups, last_panel = all * (group + 1) / groups;
    const float* w = a.packed;
    for (int64_t product = 0; product < l.products; product++, w += terms(p) * vectors * lanes)
      for (int64_t i = first_panel; i < last_panel; i++) {
        const Panel q = panel(vectors, widest, i);
        Tile t{.x = v + product * l.matrix_in, .kt = 1, .kh = 1, .run = terms(p), .pitch_t = 0, .pitch_h = 0, .function = Function::none};
        t.w = w + q.first * terms(p) * lanes;
        t.y = products + product * l.matrix_out + q.first * lanes;
        t.channels = q.vectors * lanes;
        t.read = read;
        t.write = write;
        const int64_t tiles = ceil_div(count, max_rows(q.vectors)), rows = count / tiles, longer = count % tiles;
        for (int64_t j = 0; j < tiles; j++) {
          const int64_t now = rows + (j < longer);
          tile_function<false>(now, q.vectors)(t);
          t.read += now;
          t.write += now;
        }
      }

    const int64_t first_channel = panel(vectors, widest, first_panel).first * lanes;
    const Panel last = panel(vectors, widest, last_panel - 1);
    for (int64_t tile = begin; tile < end; tile++)
      winograd_output<F>(p, l, strip(tile), a, products + (tile - begin) * l.row_out, first_channel,
                         smaller((last.first + last.vectors) * lanes, p.oc));
  });
}

/** Transforms the weights, given as weights(row, column, c): product after product a matrix of terms × output channels, in panels. */
template <class F, class WeightsAt>
void winograd_pack(const Winograd& p, const WeightsAt& weights, float* packed, ThreadPool& pool) {
  constexpr int n = F::products, r = F::taps;
  const int64_t vectors = ceil_div(p.oc, lanes), matrix = terms(p) * vectors * lanes;
  pool.run(terms(p), [&](int64_t k, int) {
    const int64_t phase = k / p.c, c = k % p.c;
    for (int64_t i = 0; i < panels(vectors, widest); i++) {
      const Panel q = panel(vectors, widest, i);
      for (int64_t of_panel = 0; of_panel < q.vectors; of_panel++) {
        const int64_t oc = (q.first + of_panel) * lanes, count = smaller(lanes, p.oc - oc);
        Vec rows[r][n];  // G g, by columns of g
        for (int column = 0; column < r; column++) {
          Vec g[r];
          for (int row = 0; row < r; row++) {
            const int64_t kh = row * p.stride + phase / p.stride, kw = column * p.stride + phase % p.stride;
            alignas(64) float values[lanes] = {};
            if (kh < p.kernel && kw < p.kernel) {
              const Weights w = weights(kh, kw, c);
              for (int64_t j = 0; j < count; j++) values[j] = w.at[(oc + j) * w.per_oc];
            }
            g[row] = load(values);
          }
          transform_filter<F>(g, rows[column]);
        }
        float* to = packed + (q.first * terms(p) + k * q.vectors + of_panel) * lanes;
        for (int a = 0; a < n; a++) {
          Vec in[r], out[n];
          for (int column = 0; column < r; column++) in[column] = rows[column][a];
          transform_filter<F>(in, out);
          for (int b = 0; b < n; b++) store(to + (a * n + b) * matrix, out[b]);
        }
      }
    }
  });
}

std::size_t winograd_packed_size(const Winograd& p) {
  return with_filtering(p, [&](auto f) {
    return static_cast<std::size_t>(decltype(f)::products * decltype(f)::products * terms(p) * ceil_div(p.oc, lanes) * lanes);
  });
}
std::size_t winograd_scratch_size(const Winograd& p, int threads) {
  return with_filtering(p, [&](auto f) { return static_cast<std::size_t>(threads * layout<decltype(f)>(p).scratch); });
}

// Forward.

std::size_t winograd_forward_packed_size(const ConvShape& s) { return winograd_packed_size(winograd_forward_problem(s)); }
std::size_t winograd_forward_scratch_size(const ConvShape& s, int threads) {
  return winograd_scratch_size(winograd_forward_problem(s), threads);
}

void winograd_forward_pack(const ConvShape& s, const float* w, float* packed, ThreadPool& pool) {
  const Winograd p = winograd_forward_problem(s);
  const auto weights = [&](int64_t kh, int64_t kw, int64_t c) { return Weights{w + ((kh * p.kernel + kw) * p.c + c) * p.oc, 0, 1}; };
  with_filtering(p, [&](auto f) { winograd_pack<decltype(f)>(p, weights, packed, pool); });
}

void winograd_forward(const ConvShape& s, const ConvForwardArgs& a, ThreadPool& pool) {
  const Winograd p = winograd_forward_problem(s);
  with_filtering(p, [&](auto f) { winograd<decltype(f)>(p, {a.x, a.packed, a.bias, a.residual, a.function, a.y, a.scratch}, pool); });
}

// Data gradient, stride 1.

std::size_t winograd_gradient_packed_size(const ConvShape& s) { return winograd_packed_size(winograd_gradient_problem(s)); }
std::size_t winograd_gradient_scratch_size(const ConvShape& s, int threads) {
  return winograd_scratch_size(winograd_gradient_problem(s), threads);
}

void winograd_gradient_pack(const ConvShape& s, const float* w, float* packed, ThreadPool& pool) {
  const Winograd p = winograd_gradient_problem(s);
  const auto weights = [&](int64_t kh, int64_t kw, int64_t oc) {
    return Weights{w + ((p.kernel - 1 - kh) * p.kernel + p.kernel - 1 - kw) * p.c * p.oc + oc, 0, p.c};
  };
  with_filtering(p, [&](auto f) { winograd_pack<decltype(f)>(p, weights, packed, pool); });
}

void winograd_gradient(const ConvShape& s, const ConvDataGradientArgs& a, ThreadPool& pool) {
  const Winograd p = winograd_gradient_problem(s);
  const float* before = a.accumulate ? a.dx : nullptr;
  with_filtering(p, [&](auto f) { winograd<decltype(f)>(p, {a.dy, a.packed, nullptr, before, Function::none, a.dx, a.scratch}, pool); });
}

/** Measured to win by a quarter and more on Zen 5: enough channels for the multiplications to be the work, enough tiles for their weights. */
bool winograd_pays(const Winograd& p) {
  return with_filtering(p, [&](auto f) {
    const WinogradLayout l = layout<decltype(f)>(p);
    return p.c >= 32 && p.oc >= 32 && l.tiles >= 9 && p.kernel * p.ow > 0;
  });
}
bool winograd_forward_pays(const ConvShape& s) { return winograd_supports(s) && winograd_pays(winograd_forward_problem(s)); }
bool winograd_gradient_pays(const ConvShape& s) { return winograd_gradient_supports(s) && winograd_pays(winograd_gradient_problem(s)); }

}  // namespace
}  // namespace tvn::TVN_ISA
