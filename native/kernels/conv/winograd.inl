// Dense convolution with square kernels of 3 to 5 by Winograd's F(M×M, R×R): tiles of M×M results need (M + R − 1)² products for each pair
// of channels, up to six times fewer than M²·R². Stride 2 is the sum of four convolutions of stride 1, one for each phase of the
// input; their channels lie side by side, so that they are summed in the transformed domain.
//
// A block of tiles is transformed into one matrix of tiles × input channels for each product, these are multiplied with the transformed
// weights, and the products are transformed back. How tiles are grouped into blocks follows from the shape alone, and no sum crosses
// a tile: results are bit-identical for any number of threads. A NaN in x reaches the tiles that read it.
#include <cstring>

#include "kernels/conv/winograd_tiles.inl"

namespace tvn::TVN_ISA {
namespace {

constexpr bool can_winograd(const Window& k) {
  return k.kt == 1 && k.st == 1 && k.kh == k.kw && k.sh == k.sw && k.kh <= 5 && k.kh >= (k.sh == 1 ? 3 : 4) && k.sh <= 2;
}
template <int Outputs>
bool winograd_supports(const ConvShape& s) {
  return can_winograd(s.window) && has_filtering(Outputs, filter_taps(s.window.kh, s.window.sh));
}
template <int Outputs>
bool winograd_gradient_supports(const ConvShape& s) {
  return winograd_supports<Outputs>(s) && s.window.sh == 1;
}

constexpr Winograd winograd_forward_problem(const ConvShape& s) {
  const Window& k = s.window;
  return {s.x.n * s.x.t, s.x.t, s.x.h, s.x.w, s.x.c, s.y.h, s.y.w, s.y.c, k.kh, k.sh, k.ph, k.pw, s.tiling};
}
/** dx is dy convolved with the mirrored and transposed weights. */
constexpr Winograd winograd_gradient_problem(const ConvShape& s) {
  const Window& k = s.window;
  return {s.x.n * s.x.t, s.x.t, s.y.h, s.y.w, s.y.c, s.x.h, s.x.w, s.x.c, k.kh, 1, k.kh - 1 - k.ph, k.kw - 1 - k.pw};
}

/** Brings the input of the block at `tile` near while this one is multiplied. */
template <class F>
Ahead read_ahead(const Winograd& p, const WinogradLayout<F>& l, int64_t tile, const float* x, int64_t calls) {
  const int64_t end = smaller(tile + l.block, l.tiles);
  const Strip first = strip(l, tile, end, l.block);
  const int64_t then = tile + first.count;
  return Ahead(input_region<F>(p, first, x), then < end ? input_region<F>(p, strip(l, then, end, l.block), x) : Region{}, calls, terms(p));
}

template <class F>
void winograd(const Winograd& p, const WinogradArgs& a, ThreadPool& pool) {
  const WinogradLayout<F> l(p);
  if (l.tiles == 0 || p.oc == 0) return;
  const int64_t vectors = ceil_div(p.oc, lanes), all = panels(vectors, panel_vectors), blocks = ceil_div(l.tiles, l.block);
  // few blocks: threads share the output channels of a block, and each transforms the input for itself
  const int64_t groups = pool.threads() == 1 ? 1 : smaller(all, ceil_div(2 * pool.threads(), blocks));
  pool.run(blocks * groups, [&](int64_t task, int thread) {
    float* const input = a.scratch + thread * l.scratch;
    float* const output = input + l.matrices * l.matrix_in;
    float* const columns = output + l.matrices * l.matrix_out;
    float* const zeros = columns + l.columns;
    std::memset(zeros, 0, static_cast<std::size_t>(p.c) * sizeof(float));
    const int64_t begin = task / groups * l.block, end = smaller(begin + l.block, l.tiles), count = end - begin;
    for (int64_t tile = begin; tile < end;) {
      const Strip s = strip(l, tile, end);
      winograd_input<F>(p, l, s, a.x, input + (tile - begin) * l.row_in, columns, zeros);
      tile += s.count;
    }

    const int64_t group = task % groups, first_panel = all * group / groups, last_panel = all * (group + 1) / groups;
    const int64_t most_rows = most_matrix_rows(panel_vectors), calls = l.matrices * (last_panel - first_panel) * ceil_div(count, most_rows);
    Ahead ahead = read_ahead(p, l, smaller(end, l.tiles - 1), a.x, calls);
    const float* w = a.packed;
    for (int64_t i = 0; i < l.matrices; i++, w += terms(p) * vectors * lanes)
      for (int64_t j = first_panel; j < last_panel; j++) {
        const Panel q = panel(vectors, panel_vectors, j);
        const float* x = input + i * l.matrix_in;
        float* y = output + i * l.matrix_out + q.first * lanes;
        const int64_t tiles = ceil_div(count, most_rows), rows = count / tiles, longer = count % tiles;
        for (int64_t k = 0; k < tiles; k++) {
          const int64_t now = rows + (k < longer);
          matrix_tile_of(now, q.vectors)({x, l.row_in, terms(p), w + q.first * terms(p) * lanes, y, l.row_out, ahead.call()});
          x += now * l.row_in;
          y += now * l.row_out;
        }
      }

    const Panel last = panel(vectors, panel_vectors, last_panel - 1);
    const int64_t first_channel = panel(vectors, panel_vectors, first_panel).first * lanes;
    const int64_t end_channel = smaller((last.first + last.vectors) * lanes, p.oc);
    for (int64_t tile = begin; tile < end; tile++)
      winograd_output<F>(p, l, strip(l, tile, end), a, output + (tile - begin) * l.row_out, first_channel, end_channel);
  });
}

/** Transforms the weights, given as weights(row, column, c): product after product a matrix of terms × output channels, in panels. */
template <class F, class WeightsAt>
void winograd_pack(const Winograd& p, const WeightsAt& weights, float* packed, ThreadPool& pool) {
  constexpr int n = F::products, r = F::taps;
  const int64_t vectors = ceil_div(p.oc, lanes), matrix = terms(p) * vectors * lanes;
  pool.run(terms(p), [&](int64_t k, int) {
    const int64_t phase = k / p.c, c = k % p.c;
    for (int64_t i = 0; i < panels(vectors, panel_vectors); i++) {
      const Panel q = panel(vectors, panel_vectors, i);
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

template <int Outputs>
std::size_t winograd_packed_size(const Winograd& p) {
  return with_filtering<Outputs>(p, [&](auto f) {
    return static_cast<std::size_t>(WinogradLayout<decltype(f)>::matrices * terms(p) * ceil_div(p.oc, lanes) * lanes);
  });
}
template <int Outputs>
std::size_t winograd_scratch_size(const Winograd& p, int threads) {
  return with_filtering<Outputs>(p, [&](auto f) { return static_cast<std::size_t>(threads * WinogradLayout<decltype(f)>(p).scratch); });
}

// Forward.

constexpr Tiling winograd_tilings[] = {{.block = -1}, {.block = 1}, {.fetch_y = false}};

template <int Outputs>
std::size_t winograd_forward_packed_size(const ConvShape& s) {
  return winograd_packed_size<Outputs>(winograd_forward_problem(s));
}
template <int Outputs>
std::size_t winograd_forward_scratch_size(const ConvShape& s, int threads) {
  return winograd_scratch_size<Outputs>(winograd_forward_problem(s), threads);
}

template <int Outputs>
void winograd_forward_pack(const ConvShape& s, const float* w, float* packed, ThreadPool& pool) {
  const Winograd p = winograd_forward_problem(s);
  const auto weights = [&](int64_t kh, int64_t kw, int64_t c) { return Weights{w + ((kh * p.kernel + kw) * p.c + c) * p.oc, 0, 1}; };
  with_filtering<Outputs>(p, [&](auto f) { winograd_pack<decltype(f)>(p, weights, packed, pool); });
}

template <int Outputs>
void winograd_forward(const ConvShape& s, const ConvForwardArgs& a, ThreadPool& pool) {
  const Winograd p = winograd_forward_problem(s);
  with_filtering<Outputs>(p, [&](auto f) {
    winograd<decltype(f)>(p, {a.x, a.packed, a.bias, a.scale, a.residual, a.function, a.y, a.scratch}, pool);
  });
}

// Data gradient, stride 1.

template <int Outputs>
std::size_t winograd_gradient_packed_size(const ConvShape& s) {
  return winograd_packed_size<Outputs>(winograd_gradient_problem(s));
}
template <int Outputs>
std::size_t winograd_gradient_scratch_size(const ConvShape& s, int threads) {
  return winograd_scratch_size<Outputs>(winograd_gradient_problem(s), threads);
}

template <int Outputs>
void winograd_gradient_pack(const ConvShape& s, const float* w, float* packed, ThreadPool& pool) {
  const Winograd p = winograd_gradient_problem(s);
  const auto weights = [&](int64_t kh, int64_t kw, int64_t oc) {
    return Weights{w + ((p.kernel - 1 - kh) * p.kernel + p.kernel - 1 - kw) * p.c * p.oc + oc, 0, p.c};
  };
  with_filtering<Outputs>(p, [&](auto f) { winograd_pack<decltype(f)>(p, weights, packed, pool); });
}

template <int Outputs>
void winograd_gradient(const ConvShape& s, const ConvDataGradientArgs& a, ThreadPool& pool) {
  const Winograd p = winograd_gradient_problem(s);
  const float* before = a.accumulate ? a.dx : nullptr;
  with_filtering<Outputs>(p, [&](auto f) {
    winograd<decltype(f)>(p, {a.dy, a.packed, nullptr, nullptr, before, Function::none, a.dx, a.scratch}, pool);
  });
}

/**
 * A model of the time of both ways, in multiplications, fitted to measurements on Zen 5 (8 to 256 channels, maps of 5² to 56²): transforms
 * take as long as 13 multiplications for every vector of channels, and with fewer than 8 tiles the weights are not read faster.
 * Batches play no part, so that a clip's results do not depend on them.
 */
template <class F>
constexpr int64_t winograd_time(const Winograd& p) {
  const WinogradLayout<F> l(p);
  const int64_t channels = (phases(p) * ceil_div(p.c, lanes) + ceil_div(p.oc, lanes)) * lanes;
  return l.matrices * (larger(l.tiles, 8) * terms(p) * p.oc + 13 * l.tiles * channels);
}
constexpr int64_t direct_time(const Winograd& p) { return p.kernel * p.kernel * p.images * p.oh * p.ow * p.c * p.oc; }

/** Tiles of 5×5 are for maps that they cut into fewer products. A bf16 product takes half the time, and this kernel's are f32. */
template <int Outputs>
bool winograd_pays(Winograd p, int64_t clips, Precision other) {
  if (direct_only()) return false;
  p.images /= larger(clips, 1);
  const auto products = [&]<class F>(F) { return WinogradLayout<F>(p).tiles * F::products * F::products; };
  if (Outputs == 5 && with_filtering<5>(p, products) >= with_filtering<4>(p, products)) return false;
  const int64_t time = with_filtering<Outputs>(p, [&]<class F>(F) { return winograd_time<F>(p); });
  return other == Precision::bf16 ? 10 * direct_time(p) > 21 * time : 4 * direct_time(p) > 5 * time;
}
template <int Outputs>
bool winograd_forward_pays(const ConvShape& s, Precision other) {
  return winograd_supports<Outputs>(s) && winograd_pays<Outputs>(winograd_forward_problem(s), s.x.n, other);
}
template <int Outputs>
bool winograd_gradient_pays(const ConvShape& s, Precision other) {
  return winograd_gradient_supports<Outputs>(s) && winograd_pays<Outputs>(winograd_gradient_problem(s), s.x.n, other);
}

}  // namespace
}  // namespace tvn::TVN_ISA
