// The part of a matrix product that one warp computes: C[M×N] += A[M×K]·B[K×N] from shared memory, halves in, f32 accumulated.
//
// Two implementations with the same interface and the same sums: WMMA, which every tensor core has, and m16n8k16 with ldmatrix from sm_80
// on, whose registers are known, so that the epilogue costs no conversion and loads are free of bank conflicts. K goes by 16.
//
// Layouts in shared memory are told by types: A is rows of K (RowsOfDepth) or rows of M (DepthOfRows, transposed), B is rows of N
// (DepthOfColumns) or rows of K (ColumnsOfDepth, transposed). Addresses of tiles are multiples of 32 bytes, strides of 16.
#pragma once

#include <type_traits>

#include "cuda/device/ptx.h"

namespace tvn::cuda {

enum class ALayout { rows_of_depth, depth_of_rows };
enum class BLayout { depth_of_columns, columns_of_depth };

template <int M, int N, ALayout A, BLayout B>
class WmmaTile {
  static_assert(M % 16 == 0 && N % 16 == 0, "fragments are 16×16");
  using AOrder = std::conditional_t<A == ALayout::rows_of_depth, nvcuda::wmma::row_major, nvcuda::wmma::col_major>;
  using BOrder = std::conditional_t<B == BLayout::depth_of_columns, nvcuda::wmma::row_major, nvcuda::wmma::col_major>;

 public:
  __device__ __forceinline__ void clear() {
#pragma unroll
    for (int i = 0; i < M / 16; i++)
#pragma unroll
      for (int j = 0; j < N / 16; j++) nvcuda::wmma::fill_fragment(sums_[i][j], 0.0f);
  }

  /** Adds the product of 16 steps of K. */
  __device__ __forceinline__ void multiply(const half* a, int a_stride, const half* b, int b_stride) {
    nvcuda::wmma::fragment<nvcuda::wmma::matrix_b, 16, 16, 16, half, BOrder> columns[N / 16];
#pragma unroll
    for (int j = 0; j < N / 16; j++)
      nvcuda::wmma::load_matrix_sync(columns[j], b + (B == BLayout::depth_of_columns ? 16 * j : 16 * j * b_stride),
                                     static_cast<unsigned>(b_stride));
#pragma unroll
    for (int i = 0; i < M / 16; i++) {
      nvcuda::wmma::fragment<nvcuda::wmma::matrix_a, 16, 16, 16, half, AOrder> rows;
      nvcuda::wmma::load_matrix_sync(rows, a + (A == ALayout::rows_of_depth ? 16 * i * a_stride : 16 * i), static_cast<unsigned>(a_stride));
#pragma unroll
      for (int j = 0; j < N / 16; j++) nvcuda::wmma::mma_sync(sums_[i][j], rows, columns[j], sums_[i][j]);
    }
  }

  /** To and from f32 rows in shared memory. */
  __device__ __forceinline__ void store(float* to, int stride) const {
#pragma unroll
    for (int i = 0; i < M / 16; i++)
#pragma unroll
      for (int j = 0; j < N / 16; j++)
        nvcuda::wmma::store_matrix_sync(to + 16 * i * stride + 16 * j, sums_[i][j], static_cast<unsigned>(stride),
                                        nvcuda::wmma::mem_row_major);
  }
  __device__ __forceinline__ void load(const float* from, int stride) {
#pragma unroll
    for (int i = 0; i < M / 16; i++)
#pragma unroll
      for (int j = 0; j < N / 16; j++)
        nvcuda::wmma::load_matrix_sync(sums_[i][j], from + 16 * i * stride + 16 * j, static_cast<unsigned>(stride),
                                       nvcuda::wmma::mem_row_major);
  }

 private:
  nvcuda::wmma::fragment<nvcuda::wmma::accumulator, 16, 16, 16, float> sums_[M / 16][N / 16];
};

template <int M, int N, ALayout A, BLayout B>
class MmaTile {
  static_assert(M % 16 == 0 && N % 16 == 0, "ldmatrix brings 16×16");

 public:
  __device__ __forceinline__ void clear() {
#pragma unroll
    for (int i = 0; i < M / 16; i++)
#pragma unroll
      for (int j = 0; j < N / 8; j++)
#pragma unroll
        for (int k = 0; k < 4; k++) sums_[i][j][k] = 0;
  }

  __device__ __forceinline__ void multiply(const half* a, int a_stride, const half* b, int b_stride) {
    // Lane l addresses row l % 8 of the 8×8 tile l / 8. A wants its tiles in the order (rows 0, k 0), (rows 8, k 0), (rows 0, k 8),
    // (rows 8, k 8); B, two columns tiles at a time, (k 0, columns 0), (k 8, columns 0), (k 0, columns 8), (k 8, columns 8).
    const int lane = static_cast<int>(threadIdx.x) % warp_size, row = lane % 8, low = lane / 8 % 2 * 8, high = lane / 16 * 8;
    unsigned columns[N / 8][2];
#pragma unroll
    for (int j = 0; j < N / 16; j++) {
      unsigned r[4];
      if (B == BLayout::depth_of_columns)
        ldmatrix_x4_trans(r, b + (low + row) * b_stride + 16 * j + high);
      else
        ldmatrix_x4(r, b + (16 * j + high + row) * b_stride + low);
      columns[2 * j][0] = r[0], columns[2 * j][1] = r[1];
      columns[2 * j + 1][0] = r[2], columns[2 * j + 1][1] = r[3];
    }
#pragma unroll
    for (int i = 0; i < M / 16; i++) {
      unsigned rows[4];
      if (A == ALayout::rows_of_depth)
        ldmatrix_x4(rows, a + (16 * i + low + row) * a_stride + high);
      else
        ldmatrix_x4_trans(rows, a + (high + row) * a_stride + 16 * i + low);
#pragma unroll
      for (int j = 0; j < N / 8; j++) mma_m16n8k16(sums_[i][j], rows, columns[j]);
    }
  }

  __device__ __forceinline__ void store(float* to, int stride) const {
    for_pairs([&](int row, int column, int i, int j, int k) {
      *reinterpret_cast<float2*>(to + row * stride + column) = make_float2(sums_[i][j][k], sums_[i][j][k + 1]);
    });
  }
  __device__ __forceinline__ void load(const float* from, int stride) {
    for_pairs([&](int row, int column, int i, int j, int k) {
      const float2 pair = *reinterpret_cast<const float2*>(from + row * stride + column);
      sums_[i][j][k] = pair.x;
      sums_[i][j][k + 1] = pair.y;
    });
  }

 private:
  /** f(row, column, i, j, k) for sums_[i][j][k] and the next: lane l holds columns 2·(l % 4) and the next of rows l / 4 and l / 4 + 8. */
  template <class F>
  static __device__ __forceinline__ void for_pairs(const F& f) {
    const int lane = static_cast<int>(threadIdx.x) % warp_size;
#pragma unroll
    for (int i = 0; i < M / 16; i++)
#pragma unroll
      for (int j = 0; j < N / 8; j++)
#pragma unroll
        for (int k = 0; k < 4; k += 2) f(16 * i + 4 * k + lane / 4, 8 * j + lane % 4 * 2, i, j, k);
  }

  float sums_[M / 16][N / 8][4];
};

/** The better one of what is compiled for. */
template <int M, int N, ALayout A, BLayout B>
using WarpTile = std::conditional_t<has_async_copies, MmaTile<M, N, A, B>, WmmaTile<M, N, A, B>>;

}  // namespace tvn::cuda
