// The part of a matrix product that one warp computes: C[M×N] += A[M×K]·B[K×N] from shared memory, halves in, f32 accumulated.
//
// Three implementations with the same interface and the same sums: WMMA, which every tensor core has, m8n8k4 of V100, and m16n8k16 with
// ldmatrix from sm_80 on. Of the latter two the registers are known, so that loads are free of bank conflicts, their addresses are
// computed once, and the epilogue costs no conversion. K goes by 16.
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

__device__ __forceinline__ int lane_of_warp() { return static_cast<int>(threadIdx.x) % warp_size; }

/**
 * The sums of a warp's M×N in registers whose places are known. Place has the extents of one instruction's result, how many of its elements
 * a lane holds, and the row and column of element k, of which k and k + 1 are neighbours in a row for even k.
 */
template <int M, int N, class Place>
struct PlacedSums {
  float of[M / Place::rows][N / Place::columns][Place::elements];

  __device__ __forceinline__ void clear() {
#pragma unroll
    for (int i = 0; i < M / Place::rows; i++)
#pragma unroll
      for (int j = 0; j < N / Place::columns; j++)
#pragma unroll
        for (int k = 0; k < Place::elements; k++) of[i][j][k] = 0;
  }
  __device__ __forceinline__ void store(float* to, int stride) const {
    for_pairs([&](int row, int column, int i, int j, int k) {
      *reinterpret_cast<float2*>(to + row * stride + column) = make_float2(of[i][j][k], of[i][j][k + 1]);
    });
  }
  __device__ __forceinline__ void load(const float* from, int stride) {
    for_pairs([&](int row, int column, int i, int j, int k) {
      const float2 pair = *reinterpret_cast<const float2*>(from + row * stride + column);
      of[i][j][k] = pair.x;
      of[i][j][k + 1] = pair.y;
    });
  }

 private:
  /** f(row, column, i, j, k) for of[i][j][k] and the next. */
  template <class F>
  static __device__ __forceinline__ void for_pairs(const F& f) {
    const int lane = lane_of_warp();
#pragma unroll
    for (int i = 0; i < M / Place::rows; i++)
#pragma unroll
      for (int j = 0; j < N / Place::columns; j++)
#pragma unroll
        for (int k = 0; k < Place::elements; k += 2)
          f(Place::rows * i + Place::row(lane, k), Place::columns * j + Place::column(lane, k), i, j, k);
  }
};

/**
 * Each quad pair (lanes 4q … 4q + 3 and the same plus 16) multiplies 8×4 by 4×8, so that four of them have 16×16, two by two. Of 16 rows or
 * columns, quad pair 0 has 0 … 3 (the lower lanes) and 8 … 11 (the upper), 1 the other eight: then the lanes that are served together read
 * eight neighbouring lines, where a stride of 16·odd bytes meets every bank. WMMA, with 0 … 7 and 8 … 15, meets each twice.
 */
template <int M, int N, ALayout A, BLayout B>
class QuadPairTile {
  static_assert(M % 16 == 0 && N % 16 == 0, "four quad pairs have 16×16");
  static constexpr bool a_by_rows = A == ALayout::rows_of_depth, b_by_columns = B == BLayout::columns_of_depth;

 public:
  __device__ __forceinline__ void clear() { sums_.clear(); }
  __device__ __forceinline__ void store(float* to, int stride) const { sums_.store(to, stride); }
  __device__ __forceinline__ void load(const float* from, int stride) { sums_.load(from, stride); }

  __device__ __forceinline__ void multiply(const half* a, int a_stride, const half* b, int b_stride) {
    Fragment rows[M / 16], columns[N / 16];
#pragma unroll
    for (int j = 0; j < N / 16; j++)
      columns[j].template load<b_by_columns>(b + (b_by_columns ? 16 * j * b_stride : 16 * j), b_stride, quad_of_b(lane_of_warp()));
#pragma unroll
    for (int i = 0; i < M / 16; i++)
      rows[i].template load<a_by_rows>(a + (a_by_rows ? 16 * i * a_stride : 16 * i), a_stride, quad_of_a(lane_of_warp()));
#pragma unroll
    for (int step = 0; step < 4; step++)
#pragma unroll
      for (int i = 0; i < M / 16; i++)
#pragma unroll
        for (int j = 0; j < N / 16; j++) mma_m8n8k4<a_by_rows, b_by_columns>(sums_.of[i][j], rows[i].steps[step], columns[j].steps[step]);
  }

 private:
  static __device__ __forceinline__ int quad_of_a(int lane) { return lane / 4 % 2; }
  static __device__ __forceinline__ int quad_of_b(int lane) { return lane / 8 % 2; }

  struct Place {
    static constexpr int rows = 16, columns = 16, elements = 8;
    static __device__ __forceinline__ int row(int lane, int k) { return lane / 16 * 8 + quad_of_a(lane) * 4 + lane % 2 + k / 2 % 2 * 2; }
    static __device__ __forceinline__ int column(int lane, int k) { return quad_of_b(lane) * 4 + lane / 2 % 2 * 2 + k / 4 * 8 + k % 2; }
  };

  /** Sixteen rows of A, or columns of B, of four times four steps of K. */
  struct Fragment {
    unsigned steps[4][2];

    /** From lines of K, of which a lane reads one, or from lines along which it takes four neighbours each. */
    template <bool by_lines>
    __device__ __forceinline__ void load(const half* from, int stride, int quad) {
      const int four = lane_of_warp() / 16 * 8 + quad * 4, own = lane_of_warp() % 4;
      if (by_lines) {
        const uint4* const line = reinterpret_cast<const uint4*>(from + (four + own) * stride);
#pragma unroll
        for (int i = 0; i < 2; i++) {
          const uint4 eight = line[i];
          steps[2 * i][0] = eight.x, steps[2 * i][1] = eight.y;
          steps[2 * i + 1][0] = eight.z, steps[2 * i + 1][1] = eight.w;
        }
      } else {
#pragma unroll
        for (int step = 0; step < 4; step++) {
          const uint2 neighbours = *reinterpret_cast<const uint2*>(from + (4 * step + own) * stride + four);
          steps[step][0] = neighbours.x, steps[step][1] = neighbours.y;
        }
      }
    }
  };

  PlacedSums<M, N, Place> sums_;
};

template <int M, int N, ALayout A, BLayout B>
class MmaTile {
  static_assert(M % 16 == 0 && N % 16 == 0, "ldmatrix brings 16×16");

 public:
  __device__ __forceinline__ void clear() { sums_.clear(); }
  __device__ __forceinline__ void store(float* to, int stride) const { sums_.store(to, stride); }
  __device__ __forceinline__ void load(const float* from, int stride) { sums_.load(from, stride); }

  __device__ __forceinline__ void multiply(const half* a, int a_stride, const half* b, int b_stride) {
    // Lane l addresses row l % 8 of the 8×8 tile l / 8. A wants its tiles in the order (rows 0, k 0), (rows 8, k 0), (rows 0, k 8),
    // (rows 8, k 8); B, two columns tiles at a time, (k 0, columns 0), (k 8, columns 0), (k 0, columns 8), (k 8, columns 8).
    const int lane = lane_of_warp(), row = lane % 8, low = lane / 8 % 2 * 8, high = lane / 16 * 8;
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
      for (int j = 0; j < N / 8; j++) mma_m16n8k16(sums_.of[i][j], rows, columns[j]);
    }
  }

 private:
  /** Lane l holds columns 2·(l % 4) and the next of rows l / 4 and l / 4 + 8. */
  struct Place {
    static constexpr int rows = 16, columns = 8, elements = 4;
    static __device__ __forceinline__ int row(int lane, int k) { return lane / 4 + k / 2 * 8; }
    static __device__ __forceinline__ int column(int lane, int k) { return lane % 4 * 2 + k % 2; }
  };
  PlacedSums<M, N, Place> sums_;
};

/** The best one of what is compiled for. */
template <int M, int N, ALayout A, BLayout B>
using WarpTile = std::conditional_t<has_async_copies, MmaTile<M, N, A, B>,
                                    std::conditional_t<has_quad_pairs, QuadPairTile<M, N, A, B>, WmmaTile<M, N, A, B>>>;

}  // namespace tvn::cuda
