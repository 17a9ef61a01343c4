#include "cuda/kernels/attention.h"

#include <cmath>
#include <type_traits>

#include "cuda/device/reduce.h"
#include "cuda/kernels/attention_tile.h"

namespace tvn::cuda {
namespace {

using namespace attention;

__host__ __device__ constexpr int threads_of(int warps) { return warps * warp_size; }

/** Multiplies every row by the factor that its lanes have. */
template <int Held>
__device__ __forceinline__ void scale_rows(Sums (&sums)[Held][fragments], float factor, float* scratch) {
  // A matrix of the factors, in the layout that sums have, whatever it is.
  const float4 four = make_float4(factor, factor, factor, factor);
  float4* const to = reinterpret_cast<float4*>(scratch + lane_row() * 16 + lane() % 2 * 8);
  to[0] = four;
  to[1] = four;
  __syncwarp();
  Sums factors;
  nvcuda::wmma::load_matrix_sync(factors, scratch, 16, nvcuda::wmma::mem_row_major);
#pragma unroll
  for (int h = 0; h < Held; h++)
#pragma unroll
    for (int i = 0; i < fragments; i++)
#pragma unroll
      for (int e = 0; e < factors.num_elements; e++) sums[h][i].x[e] *= factors.x[e];
}

// resources: forward<2, *> threads=64 shared=0
// resources: forward<4, *> threads=128 shared=0
/** One block has 16 queries a warp, of one clip, and Held chunks of y. */
template <int Warps, int Held>
__global__ void __launch_bounds__(threads_of(Warps)) forward(AttentionShape s, AttentionForwardArgs a, int tiles, float scale) {
  constexpr int threads = threads_of(Warps), rows = Warps * warp_rows;
  __shared__ __align__(128) half theta[rows * half_stride];
  __shared__ __align__(128) half phi[columns * half_stride];
  __shared__ __align__(128) half g[columns * half_stride];
  __shared__ __align__(128) float all_scratch[Warps * scratch_floats];
  const int warp = static_cast<int>(threadIdx.x) / warp_size, clip = static_cast<int>(blockIdx.x) / tiles;
  const int first = static_cast<int>(blockIdx.x) % tiles * rows, first_chunk = static_cast<int>(blockIdx.y) * Held;
  const int chunks = (s.stored + chunk - 1) / chunk, of_queries = clip * s.queries * s.stored, of_keys = clip * s.keys * s.stored;
  float* const scratch = all_scratch + warp * scratch_floats;
  half* const weights = reinterpret_cast<half*>(scratch);
  const half* const warp_theta = theta + warp * warp_rows * half_stride;

  Sums sums[Held][fragments];
#pragma unroll
  for (int h = 0; h < Held; h++) clear(sums[h]);
  float largest = -INFINITY, total = 0;  // of the lane's row; total over the lane's columns
  for (int key = 0; key < s.keys; key += columns) {
    Sums scores[columns / 16];
    clear(scores);
    for (int c = 0; c < chunks; c++) {
      __syncthreads();
      if (chunks > 1 || key == 0) load_rows<rows, threads>(a.theta + of_queries, s.stored, first, s.queries, c, theta);
      load_rows<columns, threads>(a.phi + of_keys, s.stored, key, s.keys, c, phi);
      if (c == 0) load_rows<columns, threads>(a.g + of_keys, s.stored, key, s.keys, first_chunk, g);
      __syncthreads();
      add_scores(scores, warp_theta, phi, steps_of(s.stored, c));
    }

    float values[16], before = largest;
    spread(scores, scratch, values);
#pragma unroll
    for (int i = 0; i < 16; i++) {
      values[i] = key + lane_column() + i < s.keys ? values[i] * scale : -INFINITY;
      largest = fmaxf(largest, values[i]);
    }
    largest = fmaxf(largest, __shfl_xor_sync(all_lanes, largest, 1));
    const float fade = expf(before - largest);
    total *= fade;
#pragma unroll
    for (int i = 0; i < 16; i++) {
      values[i] = expf(values[i] - largest);
      total += values[i];
    }
    __syncwarp();
    if (__any_sync(all_lanes, fade != 1)) scale_rows(sums, fade, scratch);
    __syncwarp();
    store_weights(values, weights);
    __syncwarp();
#pragma unroll
    for (int h = 0; h < Held; h++) {
      if (first_chunk + h >= chunks) break;
      if (h > 0) {
        __syncthreads();
        load_rows<columns, threads>(a.g + of_keys, s.stored, key, s.keys, first_chunk + h, g);
        __syncthreads();
      }
      add_weighted(sums[h], weights, g, steps_of(s.stored, first_chunk + h), 1);
    }
  }

  total += __shfl_xor_sync(all_lanes, total, 1);
  const int warp_first = first + warp * warp_rows, query = warp_first + lane_row();
  if (a.log_sums && blockIdx.y == 0 && lane() % 2 == 0 && query < s.queries) a.log_sums[clip * s.queries + query] = largest + logf(total);
#pragma unroll
  for (int h = 0; h < Held; h++)
    if (first_chunk + h < chunks)
      write_rows(sums[h], 1 / total, scratch, a.y + of_queries, s.stored, warp_first, s.queries, first_chunk + h);
}

/** Σ dy·y of every query: the mean of p's gradient under p. One warp a query. */
__global__ void row_terms(int queries, int stored, const half* y, const half* dy, float* terms) {
  const int query = static_cast<int>(blockIdx.x) * 4 + static_cast<int>(threadIdx.x) / warp_size;
  if (query >= queries) return;
  float sum = 0;
  for (int channel = lane() * vector_width; channel < stored; channel += warp_size * vector_width) {
    float a[vector_width], b[vector_width];
    load8(y + query * stored + channel, a);
    load8(dy + query * stored + channel, b);
#pragma unroll
    for (int i = 0; i < vector_width; i++) sum += a[i] * b[i];
  }
  sum = warp_sum(sum);
  if (lane() == 0) terms[query] = sum;
}

/**
 * Backward is one kernel with two faces. With p the probabilities and dp = dy·gᵀ, the gradient of scores is ds = p·(dp − Σ dy·y):
 *
 *   rows are queries, columns are keys:  dtheta = scale·ds·phi
 *   rows are keys, columns are queries:  dphi = scale·dsᵀ·theta,  dg = pᵀ·dy
 */
struct Sides {
  const half* row_scores;     // theta or phi
  const half* column_scores;  // phi or theta
  const half* row_values;     // dy or g
  const half* column_values;  // g or dy
  int rows, columns;          // of a clip
  const float* log_sums;
  const float* terms;
  half* score_gradient;  // dtheta or dphi
  half* value_gradient;  // dg, where rows are keys
};

/** Powers of two that bring values up to `largest` into the middle of what halves hold, and back: gradients may be very small. */
struct Range {
  float up, down;
  __device__ __forceinline__ explicit Range(float largest) {
#pragma unroll
    for (int distance = warp_size / 2; distance > 0; distance /= 2) largest = fmaxf(largest, __shfl_xor_sync(all_lanes, largest, distance));
    int exponent;
    frexpf(largest, &exponent);
    exponent = min(max(exponent, -100), 100);
    up = ldexpf(1, 12 - exponent);
    down = ldexpf(1, exponent - 12);
  }
};

// resources: backward<2, *> threads=64 shared=0
// resources: backward<4, *> threads=128 shared=0
template <int Warps, int Held, bool RowsAreKeys>
__global__ void __launch_bounds__(threads_of(Warps)) backward(Sides s, int stored, int tiles, float scale) {
  constexpr int threads = threads_of(Warps), block_rows = Warps * warp_rows;
  __shared__ __align__(128) half row_scores[block_rows * half_stride];
  __shared__ __align__(128) half row_values[block_rows * half_stride];
  __shared__ __align__(128) half column_scores[columns * half_stride];
  __shared__ __align__(128) half column_values[columns * half_stride];
  __shared__ __align__(128) float all_scratch[Warps * scratch_floats];
  __shared__ float column_log_sums[columns], column_terms[columns];
  const int thread = static_cast<int>(threadIdx.x), warp = thread / warp_size, clip = static_cast<int>(blockIdx.x) / tiles;
  const int first = static_cast<int>(blockIdx.x) % tiles * block_rows, first_chunk = static_cast<int>(blockIdx.y) * Held;
  const int chunks = (stored + chunk - 1) / chunk, of_rows = clip * s.rows * stored, of_columns = clip * s.columns * stored;
  const int warp_first = first + warp * warp_rows, row = warp_first + lane_row();
  float* const scratch = all_scratch + warp * scratch_floats;
  half* const score_weights = reinterpret_cast<half*>(scratch);
  half* const value_weights = score_weights + warp_rows * weight_stride;
  float log_sum = 0, term = 0;
  if (!RowsAreKeys && row < s.rows) {
    log_sum = s.log_sums[clip * s.rows + row];
    term = s.terms[clip * s.rows + row];
  }

  Sums score_sums[Held][fragments], value_sums[RowsAreKeys ? Held : 1][fragments];
#pragma unroll
  for (int h = 0; h < Held; h++) {
    clear(score_sums[h]);
    if (RowsAreKeys) clear(value_sums[h]);
  }
  for (int column = 0; column < s.columns; column += columns) {
    Sums scores[columns / 16], products[columns / 16];
    clear(scores);
    clear(products);
    for (int i = 0; i < chunks; i++) {
      const int c = (first_chunk + 1 + i) % chunks;  // the first one that is held comes last, and stays
      __syncthreads();
      if (chunks > 1 || column == 0) {
        load_rows<block_rows, threads>(s.row_scores + of_rows, stored, first, s.rows, c, row_scores);
        load_rows<block_rows, threads>(s.row_values + of_rows, stored, first, s.rows, c, row_values);
      }
      load_rows<columns, threads>(s.column_scores + of_columns, stored, column, s.columns, c, column_scores);
      load_rows<columns, threads>(s.column_values + of_columns, stored, column, s.columns, c, column_values);
      if (RowsAreKeys && i == 0 && thread < columns && column + thread < s.columns) {
        column_log_sums[thread] = s.log_sums[clip * s.columns + column + thread];
        column_terms[thread] = s.terms[clip * s.columns + column + thread];
      }
      __syncthreads();
      add_scores(scores, row_scores + warp * warp_rows * half_stride, column_scores, steps_of(stored, c));
      add_scores(products, row_values + warp * warp_rows * half_stride, column_values, steps_of(stored, c));
    }

    float p[16], ds[16], largest_p = 0, largest_ds = 0;
    spread(scores, scratch, p);
    spread(products, scratch, ds);
#pragma unroll
    for (int i = 0; i < 16; i++) {
      const bool inside = row < s.rows && column + lane_column() + i < s.columns;
      if (RowsAreKeys && inside) {
        log_sum = column_log_sums[lane_column() + i];
        term = column_terms[lane_column() + i];
      }
      p[i] = inside ? expf(p[i] * scale - log_sum) : 0;
      ds[i] = inside ? p[i] * (ds[i] - term) : 0;
      largest_p = fmaxf(largest_p, p[i]);
      largest_ds = fmaxf(largest_ds, fabsf(ds[i]));
    }
    const Range p_range(largest_p), ds_range(largest_ds);
#pragma unroll
    for (int i = 0; i < 16; i++) {
      p[i] *= p_range.up;
      ds[i] *= ds_range.up;
    }
    __syncwarp();
    store_weights(ds, score_weights);
    if (RowsAreKeys) store_weights(p, value_weights);
    __syncwarp();
#pragma unroll
    for (int h = 0; h < Held; h++) {
      const int c = first_chunk + h;
      if (c >= chunks) break;
      if (h > 0) {
        __syncthreads();
        load_rows<columns, threads>(s.column_scores + of_columns, stored, column, s.columns, c, column_scores);
        if (RowsAreKeys) load_rows<columns, threads>(s.column_values + of_columns, stored, column, s.columns, c, column_values);
        __syncthreads();
      }
      add_weighted(score_sums[h], score_weights, column_scores, steps_of(stored, c), ds_range.down);
      if (RowsAreKeys) add_weighted(value_sums[h], value_weights, column_values, steps_of(stored, c), p_range.down);
    }
  }

#pragma unroll
  for (int h = 0; h < Held; h++) {
    const int c = first_chunk + h;
    if (c >= chunks) break;
    write_rows(score_sums[h], scale, scratch, s.score_gradient + of_rows, stored, warp_first, s.rows, c);
    if (RowsAreKeys) write_rows(value_sums[h], 1, scratch, s.value_gradient + of_rows, stored, warp_first, s.rows, c);
  }
}

/** Tiles of rows and groups of chunks are dimensions of the grid; where they are few, blocks have fewer rows. */
struct Grid {
  int warps, held, tiles;
  dim3 blocks;
  Grid(int n, int rows, int stored) {
    const int chunks = ceil_div(stored, chunk);
    held = chunks > 1 ? 2 : 1;
    const int groups = ceil_div(chunks, held);
    constexpr int enough = 160;
    warps = static_cast<int64_t>(n) * ceil_div(rows, 4 * warp_rows) * groups < enough ? 2 : 4;
    tiles = ceil_div(rows, warps * warp_rows);
    blocks = dim3(static_cast<unsigned>(n * tiles), static_cast<unsigned>(groups));
  }
};

/** Calls f with the numbers of warps and of held chunks as constants. */
template <class F>
void with_grid(const Grid& grid, const F& f) {
  const auto with_held = [&](auto warps) {
    if (grid.held == 1)
      f(warps, std::integral_constant<int, 1>());
    else
      f(warps, std::integral_constant<int, 2>());
  };
  if (grid.warps == 2)
    with_held(std::integral_constant<int, 2>());
  else
    with_held(std::integral_constant<int, 4>());
}

float scale_of(const AttentionShape& s) { return static_cast<float>(1 / std::sqrt(static_cast<double>(s.depth))); }

template <bool RowsAreKeys>
void run_backward(const AttentionShape& shape, const Sides& sides, cudaStream_t stream) {
  const Grid grid(shape.n, sides.rows, shape.stored);
  with_grid(grid, [&](auto warps, auto held) {
    const auto kernel = backward<decltype(warps)::value, decltype(held)::value, RowsAreKeys>;
    LAUNCH(kernel, grid.blocks, threads_of(decltype(warps)::value), 0, stream, sides, shape.stored, grid.tiles, scale_of(shape));
  });
}

bool is_empty(const AttentionShape& s) { return s.n == 0 || s.queries == 0 || s.keys == 0 || s.stored == 0; }

}  // namespace

void attention_forward(const AttentionShape& s, const AttentionForwardArgs& a, cudaStream_t stream) {
  if (is_empty(s)) return;
  const Grid grid(s.n, s.queries, s.stored);
  with_grid(grid, [&](auto warps, auto held) {
    const auto kernel = forward<decltype(warps)::value, decltype(held)::value>;
    LAUNCH(kernel, grid.blocks, threads_of(decltype(warps)::value), 0, stream, s, a, grid.tiles, scale_of(s));
  });
}

void attention_backward(const AttentionShape& s, const AttentionBackwardArgs& a, cudaStream_t stream) {
  if (is_empty(s)) return;
  const int queries = s.n * s.queries;
  LAUNCH(row_terms, static_cast<unsigned>(ceil_div(queries, 4)), 4 * warp_size, 0, stream, queries, s.stored, a.y, a.dy, a.workspace);
  run_backward<false>(s, {a.theta, a.phi, a.dy, a.g, s.queries, s.keys, a.log_sums, a.workspace, a.dtheta, nullptr}, stream);
  run_backward<true>(s, {a.phi, a.theta, a.g, a.dy, s.keys, s.queries, a.log_sums, a.workspace, a.dphi, a.dg}, stream);
}

size_t attention_workspace(const AttentionShape& s) { return static_cast<size_t>(s.n) * static_cast<size_t>(s.queries) * sizeof(float); }

}  // namespace tvn::cuda
