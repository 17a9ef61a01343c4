// What the attention's kernels are made of: tiles of rows in shared memory, and their products on tensor cores (WMMA).
//
// A warp has 16 rows of one matrix and meets 32 rows ("columns") of another at a time. Depth goes in chunks of 64 channels, so that shared
// memory does not depend on it: scores are summed over all chunks, results are written for the chunks that a block holds.
#pragma once

#include "cuda/device/half8.h"

namespace tvn::cuda::attention {

constexpr int warp_rows = 16, columns = 32, chunk = 64;
constexpr int fragments = chunk / 16;
// of rows in shared memory: a few elements more than they have, so that neighbouring rows lie in different banks
constexpr int half_stride = chunk + 8, score_stride = columns + 4, weight_stride = columns + 8;
/** Floats of a warp's scratch: [16, 32] scores, or two such tiles of halves. */
constexpr int scratch_floats = warp_rows * weight_stride;
constexpr unsigned all_lanes = 0xffffffffu;

using Sums = nvcuda::wmma::fragment<nvcuda::wmma::accumulator, 16, 16, 16, float>;
using Rows = nvcuda::wmma::fragment<nvcuda::wmma::matrix_a, 16, 16, 16, half, nvcuda::wmma::row_major>;

template <int N>
__device__ __forceinline__ void clear(Sums (&sums)[N]) {
#pragma unroll
  for (int i = 0; i < N; i++) nvcuda::wmma::fill_fragment(sums[i], 0.0f);
}

/** Channels of a chunk, in steps of 16. */
__device__ __forceinline__ int steps_of(int stored, int index) { return (min(stored - index * chunk, chunk) + 15) / 16; }

/** Rows first … of a matrix [limit, stored], one chunk of them, by all threads of the block; zeros where there are none. */
template <int Count, int Threads>
__device__ __forceinline__ void load_rows(const half* from, int stored, int first, int limit, int index, half* to) {
  for (int i = static_cast<int>(threadIdx.x); i < Count * (chunk / vector_width); i += Threads) {
    const int row = i / (chunk / vector_width), channel = i % (chunk / vector_width) * vector_width;
    Half8 values = {};
    if (first + row < limit && index * chunk + channel < stored) values = load8(from + (first + row) * stored + index * chunk + channel);
    store8(to + row * half_stride + channel, values);
  }
}

/** scores[16, 32] += rows[16, depth]·columns[32, depth]ᵀ */
__device__ __forceinline__ void add_scores(Sums (&scores)[columns / 16], const half* rows, const half* others, int steps) {
  using namespace nvcuda;
  for (int step = 0; step < steps; step++) {
    Rows a;
    wmma::load_matrix_sync(a, rows + 16 * step, half_stride);
#pragma unroll
    for (int j = 0; j < columns / 16; j++) {
      wmma::fragment<wmma::matrix_b, 16, 16, 16, half, wmma::col_major> b;
      wmma::load_matrix_sync(b, others + 16 * j * half_stride + 16 * step, half_stride);
      wmma::mma_sync(scores[j], a, b, scores[j]);
    }
  }
}

/** sums[16, depth] += factor·weights[16, 32]·columns[32, depth] */
__device__ __forceinline__ void add_weighted(Sums (&sums)[fragments], const half* weights, const half* others, int steps, float factor) {
  using namespace nvcuda;
  Rows a[columns / 16];
#pragma unroll
  for (int k = 0; k < columns / 16; k++) wmma::load_matrix_sync(a[k], weights + 16 * k, weight_stride);
#pragma unroll
  for (int i = 0; i < fragments; i++) {
    if (i >= steps) break;
    Sums product;
    wmma::fill_fragment(product, 0.0f);
#pragma unroll
    for (int k = 0; k < columns / 16; k++) {
      wmma::fragment<wmma::matrix_b, 16, 16, 16, half, wmma::row_major> b;
      wmma::load_matrix_sync(b, others + 16 * k * half_stride + 16 * i, half_stride);
      wmma::mma_sync(product, a[k], b, product);
    }
#pragma unroll
    for (int e = 0; e < product.num_elements; e++) sums[i].x[e] += factor * product.x[e];
  }
}

/** A tile of scores lies with two lanes a row: lane l has columns 16·(l % 2) … of row l / 2. */
__device__ __forceinline__ int lane() { return static_cast<int>(threadIdx.x) % warp_size; }
__device__ __forceinline__ int lane_row() { return lane() / 2; }
__device__ __forceinline__ int lane_column() { return lane() % 2 * 16; }

/** From fragments to lanes, through the warp's scratch. */
__device__ __forceinline__ void spread(const Sums (&scores)[columns / 16], float* scratch, float (&values)[16]) {
  __syncwarp();
#pragma unroll
  for (int j = 0; j < columns / 16; j++)
    nvcuda::wmma::store_matrix_sync(scratch + 16 * j, scores[j], score_stride, nvcuda::wmma::mem_row_major);
  __syncwarp();
  const float* const from = scratch + lane_row() * score_stride + lane_column();
#pragma unroll
  for (int i = 0; i < 16; i += 4) {
    const float4 four = *reinterpret_cast<const float4*>(from + i);
    values[i] = four.x, values[i + 1] = four.y, values[i + 2] = four.z, values[i + 3] = four.w;
  }
}

/** From lanes to a tile of halves, [16, 32], which add_weighted takes; call __syncwarp before and after. */
__device__ __forceinline__ void store_weights(const float (&values)[16], half* weights) {
  half* const to = weights + lane_row() * weight_stride + lane_column();
#pragma unroll
  for (int i = 0; i < 16; i += vector_width) {
    float eight[vector_width];
#pragma unroll
    for (int j = 0; j < vector_width; j++) eight[j] = values[i + j];
    store8(to + i, eight);
  }
}

/** Writes a warp's rows first … of one chunk, times the factor that each row's lanes have. */
__device__ __forceinline__ void write_rows(const Sums (&sums)[fragments], float factor, float* scratch, half* to, int stored, int first,
                                           int limit, int index) {
#pragma unroll
  for (int column = 0; column < chunk; column += columns) {
    __syncwarp();
#pragma unroll
    for (int j = 0; j < columns / 16; j++)
      nvcuda::wmma::store_matrix_sync(scratch + 16 * j, sums[column / 16 + j], score_stride, nvcuda::wmma::mem_row_major);
    __syncwarp();
#pragma unroll
    for (int i = 0; i < warp_rows; i += warp_size / (columns / vector_width)) {
      const int row = i + lane() / (columns / vector_width), offset = lane() % (columns / vector_width) * vector_width;
      const float row_factor = __shfl_sync(all_lanes, factor, 2 * row);
      const int channel = index * chunk + column + offset;
      if (first + row >= limit || channel >= stored) continue;
      float values[vector_width];
      load8(scratch + row * score_stride + offset, values);
#pragma unroll
      for (int j = 0; j < vector_width; j++) values[j] *= row_factor;
      store8(to + (first + row) * stored + channel, values);
    }
  }
}

}  // namespace tvn::cuda::attention
