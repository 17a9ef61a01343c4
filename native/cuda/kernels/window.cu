#include "cuda/kernels/window.h"

#include "cuda/kernels/conv_gemm.h"

namespace tvn::cuda {
namespace {

using Gemm = BlockGemm<64, 64, 2, 2>;
constexpr int line = Gemm::columns + 8;  // halves of a row of m in shared memory

/** Of y: rows and columns of positions that a block computes. */
struct Tile {
  int h, w;
  __host__ __device__ int reach_h(const Window& k) const { return (h - 1) * k.sh + k.kh; }
  __host__ __device__ int reach_w(const Window& k) const { return (w - 1) * k.sw + k.kw; }
};

struct WindowGemmArgs {
  Extents x, y;
  Window window;
  Tile tile;
  int tiles_h, tiles_w;
  ConvOperands product;
  ConvEpilogueArgs middle;  // bias, scale or gate, function
  WindowKind kind;
  const half* filter;
  const float* filter_bias;
  Function filter_function;
  ConvEpilogueArgs result;  // mean, and where to
};

/** The window of one position of y over m in shared memory, eight channels of it. */
__device__ __forceinline__ void slide(const WindowGemmArgs& a, const half* m, int reach_w, int top, int left, int column, float (&y)[8]) {
  const Window& k = a.window;
  const bool max = a.kind == WindowKind::max;
#pragma unroll
  for (int i = 0; i < 8; i++) y[i] = 0;
  if (a.kind == WindowKind::depthwise && a.filter_bias) load8(a.filter_bias + column, y);
  int count = 0;
  for (int kh = 0; kh < k.kh; kh++)
    for (int kw = 0; kw < k.kw; kw++) {
      if (static_cast<unsigned>(top + kh) >= static_cast<unsigned>(a.x.h) ||
          static_cast<unsigned>(left + kw) >= static_cast<unsigned>(a.x.w))
        continue;
      float x[8];
      load8(m + (kh * reach_w + kw) * line, x);
      if (a.kind == WindowKind::depthwise) {
        float w[8];
        load8(a.filter + (kh * k.kw + kw) * a.y.c + column, w);
#pragma unroll
        for (int i = 0; i < 8; i++) y[i] += x[i] * w[i];
        continue;
      }
#pragma unroll
      for (int i = 0; i < 8; i++) y[i] = !max ? y[i] + x[i] : count == 0 || x[i] > y[i] || x[i] != x[i] ? x[i] : y[i];
      count++;
    }
  if (a.kind == WindowKind::avg) {
    const float factor = 1.0f / static_cast<float>(count);
#pragma unroll
    for (int i = 0; i < 8; i++) y[i] *= factor;
  }
#pragma unroll
  for (int i = 0; i < 8; i++) y[i] = apply(a.filter_function, y[i]);
}

// resources: window_gemm threads=128 shared=38656
/** Grid: squares of positions × frames × clips, 64 channels. */
__global__ void __launch_bounds__(Gemm::threads, 2) window_gemm(const WindowGemmArgs a) {
  EXTERN_SHARED(half, shared);
  half* const m = shared + Gemm::shared_bytes(true) / static_cast<int>(sizeof(half));
  float* const scale = reinterpret_cast<float*>(m + Gemm::rows * line);
  int at = static_cast<int>(blockIdx.x);
  const int tile_w = at % a.tiles_w;
  at /= a.tiles_w;
  const int tile_h = at % a.tiles_h;
  at /= a.tiles_h;
  const int t = at % a.x.t, n = at / a.x.t, first_column = static_cast<int>(blockIdx.y) * Gemm::columns;
  const int reach_w = a.tile.reach_w(a.window), reach = a.tile.reach_h(a.window) * reach_w;
  const int top = tile_h * a.tile.h * a.window.sh - a.window.ph, left = tile_w * a.tile.w * a.window.sw - a.window.pw;
  const auto inside = [&](int row) {
    const int h = top + row / reach_w, w = left + row % reach_w;
    return row < reach && static_cast<unsigned>(h) < static_cast<unsigned>(a.x.h) &&
           static_cast<unsigned>(w) < static_cast<unsigned>(a.x.w);
  };

  const float* tile_scale = nullptr;
  if (a.middle.gate.x) {
    excite<Gemm::threads, Gemm::columns>(a.middle.gate, a.y.c, n, first_column, reinterpret_cast<float*>(shared), scale);
    tile_scale = scale;
  }
  GatherRow rows[Gemm::a_vectors];
#pragma unroll
  for (int i = 0; i < Gemm::a_vectors; i++) {
    const int row = Gemm::a_line_of(i);
    if (inside(row)) rows[i].set(a.product.gather, {n, t, top + row / reach_w, left + row % reach_w});
  }
  Gemm gemm(shared);
  ConvSource<Gemm, ConvPass::forward> source(a.product, rows, a.y.c, first_column, a.y.c, 0);
  gemm.run(source, a.product.steps);

  constexpr int vectors = Gemm::columns / vector_width, lines = Gemm::threads / vectors;
  const int vector = static_cast<int>(threadIdx.x) % vectors * vector_width, column = first_column + vector;
  float* const sums = gemm.store_sums();
  if (column < a.y.c)
    for (int row = static_cast<int>(threadIdx.x) / vectors; row < reach; row += lines) {
      float values[8];
      load8(sums + row * Gemm::sum_stride + vector, values);
      if (inside(row)) finish(a.middle, tile_scale ? tile_scale + vector : nullptr, n, 0, column, values);
      store8(m + row * line + vector, values);
    }
  __syncthreads();

  float columns[8] = {};
  if (column < a.y.c)
    for (int p = static_cast<int>(threadIdx.x) / vectors; p < a.tile.h * a.tile.w; p += lines) {
      const int h = p / a.tile.w, w = p % a.tile.w, y_h = tile_h * a.tile.h + h, y_w = tile_w * a.tile.w + w;
      if (y_h >= a.y.h || y_w >= a.y.w) continue;
      const int first = h * a.window.sh * reach_w + w * a.window.sw;
      float y[8];
      slide(a, m + first * line + vector, reach_w, top + h * a.window.sh, left + w * a.window.sw, column, y);
      write(a.result, static_cast<long long>(((n * a.y.t + t) * a.y.h + y_h) * a.y.w + y_w) * a.y.c + column, y);
#pragma unroll
      for (int i = 0; i < 8; i++) columns[i] += y[i];
    }
  if (!a.result.mean) return;
  const float sum = add_columns<Gemm::threads, Gemm::columns>(columns, sums);
  const int tile = (t * a.tiles_h + tile_h) * a.tiles_w + tile_w;
  finish_mean<Gemm::threads, Gemm::columns>(a.result, n, tile, first_column, sum, sums);
}

/** The tile of y with the least work: whatever is not there or computed twice is lost. */
Tile best_tile(const WindowShape& s) {
  Tile best{0, 0};
  double most = 0;
  for (int h = 1; h <= s.y.h; h++)
    for (int w = 1; w <= s.y.w; w++) {
      const Tile tile{h, w};
      if (tile.reach_h(s.window) * tile.reach_w(s.window) > Gemm::rows) break;
      const int tiles = ceil_div(s.y.h, h) * ceil_div(s.y.w, w);
      const double used = static_cast<double>(s.y.h * s.y.w) / tiles;
      if (used > most) {
        most = used;
        best = tile;
      }
    }
  return best;
}

int tiles_of(const WindowShape& s) {
  const Tile tile = best_tile(s);
  return ceil_div(s.y.h, tile.h) * ceil_div(s.y.w, tile.w);
}

}  // namespace

bool window_fits(const WindowShape& s) {
  const Window& k = s.window;
  return k.kt == 1 && k.st == 1 && k.kh * k.kw <= Gemm::rows;
}

bool window_pays(const WindowShape& s) {
  constexpr double flops = 100e12, bytes_a_second = 1.5e12, launch = 3.5e-6;
  const double rows = s.x.rows(), channels = s.y.c;
  const double computed = static_cast<double>(tiles_of(s)) * s.x.n * s.x.t * Gemm::rows;
  return (computed - rows) * 2 * s.x.c * channels / flops < launch + rows * channels * 2 * sizeof(half) / bytes_a_second;
}

ConvWorkspaceSize window_workspace(const WindowShape& s, bool mean) {
  if (!mean) return {};
  return {s.y.n * ceil_div(s.y.c, Gemm::columns),
          static_cast<size_t>(s.y.n * s.y.t * tiles_of(s)) * static_cast<size_t>(s.y.c) * sizeof(float)};
}

void window_forward(const WindowShape& s, const WindowArgs& a, cudaStream_t stream) {
  WindowGemmArgs args{};
  args.x = s.x;
  args.y = s.y;
  args.window = s.window;
  args.tile = best_tile(s);
  args.tiles_h = ceil_div(s.y.h, args.tile.h);
  args.tiles_w = ceil_div(s.y.w, args.tile.w);
  args.product = {{forward_axis(1, 1, 0, s.x.t), forward_axis(1, 1, 0, s.x.h), forward_axis(1, 1, 0, s.x.w), s.x.c, 1, 1},
                  a.x,
                  a.w,
                  ceil_div(s.x.c, Gemm::depth)};
  args.middle.y = s.y;
  args.middle.bias = a.bias;
  args.middle.scale = a.scale;
  args.middle.gate = a.gate;
  args.middle.function = a.function;
  args.kind = a.kind;
  args.filter = a.filter;
  args.filter_bias = a.filter_bias;
  args.filter_function = a.filter_function;
  args.result.y = s.y;
  args.result.out = a.y;
  args.result.mean = a.mean;
  args.result.mean_parts = a.workspace.parts;
  args.result.mean_counters = a.workspace.counters;
  args.result.tiles = args.tiles_h * args.tiles_w * s.y.t;
  const dim3 grid(static_cast<unsigned>(args.tiles_h * args.tiles_w * s.y.t * s.y.n),
                  static_cast<unsigned>(ceil_div(s.y.c, Gemm::columns)));
  const size_t shared = static_cast<size_t>(Gemm::shared_bytes(true)) + Gemm::rows * line * sizeof(half) + Gemm::columns * sizeof(float);
  LAUNCH(window_gemm, grid, Gemm::threads, shared, stream, args);
}

}  // namespace tvn::cuda
