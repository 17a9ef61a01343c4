// The part of a matrix product that one block computes, ROWS × COLUMNS, whatever its operands are gathered from.
//
// The inner dimension goes by `depth` = 32 through a ring of stages in shared memory. From sm_80 on, copies into later stages run while
// the tensor cores work on the present one (cp.async); before, the next stage waits in registers, which is the same in effect.
#pragma once

#include "cuda/device/half8.h"
#include "cuda/device/warp_tile.h"

namespace tvn::cuda {

template <int Rows, int Columns, int WarpsOfRows, int WarpsOfColumns, ALayout A = ALayout::rows_of_depth,
          BLayout B = BLayout::depth_of_columns>
class BlockGemm {
 public:
  static constexpr int rows = Rows, columns = Columns, depth = 32, threads = warp_size * WarpsOfRows * WarpsOfColumns;
  static constexpr int a_lines = A == ALayout::rows_of_depth ? Rows : depth, a_line = A == ALayout::rows_of_depth ? depth : Rows;
  static constexpr int b_lines = B == BLayout::depth_of_columns ? depth : Columns,
                       b_line = B == BLayout::depth_of_columns ? Columns : depth;
  // eight more halves a line spread neighbouring lines over all banks
  static constexpr int a_stride = a_line + 8, b_stride = b_line + 8, sum_stride = Columns + 4;
  static constexpr int a_vectors = a_lines * a_line / vector_width / threads, b_vectors = b_lines * b_line / vector_width / threads;
  static_assert(a_vectors * threads * vector_width == a_lines * a_line && b_vectors * threads * vector_width == b_lines * b_line,
                "every thread copies as many vectors");
  static constexpr int stage_halves = a_lines * a_stride + b_lines * b_stride;

  /** Bytes of shared memory, for the device or what is compiled for it: three stages with asynchronous copies, else two; sums afterwards.
   */
  __host__ __device__ static constexpr int shared_bytes(bool async) {
    const int stages = (async ? 3 : 2) * stage_halves * static_cast<int>(sizeof(half));
    const int sums = Rows * sum_stride * static_cast<int>(sizeof(float));
    return stages > sums ? stages : sums;
  }

  __device__ __forceinline__ explicit BlockGemm(half* shared) : shared_(shared) { tile_.clear(); }

  /** Line of A and vector in it that this thread copies as its i-th. The vector is the same for all i. */
  static __device__ __forceinline__ int a_line_of(int i) { return (static_cast<int>(threadIdx.x) + i * threads) / (a_line / vector_width); }
  static __device__ __forceinline__ int a_vector() { return static_cast<int>(threadIdx.x) % (a_line / vector_width); }
  static __device__ __forceinline__ int b_line_of(int i) { return (static_cast<int>(threadIdx.x) + i * threads) / (b_line / vector_width); }
  static __device__ __forceinline__ int b_vector() { return static_cast<int>(threadIdx.x) % (b_line / vector_width); }
  static_assert(threads % (a_line / vector_width) == 0 && threads % (b_line / vector_width) == 0, "one vector of a line for each thread");

  /**
   * Adds `steps` steps of `depth`. `source` says where the next step's vectors are: begin_step() is called once a step, then
   * a(i) and b(i) give the address of each vector of this thread, null for zeros. Those of A are in global memory unless a_is_shared.
   */
  template <class Source>
  __device__ __forceinline__ void run(Source& source, int steps) {
    if (steps <= 0) return;
    __syncthreads();  // shared memory may still be read as something else
    if (has_async_copies)
      run_async(source, steps);
    else
      run_registers(source, steps);
  }

  /** The sums as f32 rows of sum_stride in shared memory, which the stages lie in as well. */
  __device__ __forceinline__ float* store_sums() {
    __syncthreads();
    float* const sums = reinterpret_cast<float*>(shared_);
    tile_.store(warp_sums(sums), sum_stride);
    __syncthreads();
    return sums;
  }
  /** Takes them back after they were changed there. */
  __device__ __forceinline__ void load_sums() {
    __syncthreads();
    tile_.load(warp_sums(reinterpret_cast<float*>(shared_)), sum_stride);
  }

 private:
  static constexpr int warp_rows = Rows / WarpsOfRows, warp_columns = Columns / WarpsOfColumns;

  static __device__ __forceinline__ int warp() { return static_cast<int>(threadIdx.x) / warp_size; }
  static __device__ __forceinline__ float* warp_sums(float* sums) {
    return sums + warp() / WarpsOfColumns * warp_rows * sum_stride + warp() % WarpsOfColumns * warp_columns;
  }

  __device__ __forceinline__ half* a_at(int stage, int i) const {
    return shared_ + stage * stage_halves + a_line_of(i) * a_stride + a_vector() * vector_width;
  }
  __device__ __forceinline__ half* b_at(int stage, int i) const {
    return shared_ + stage * stage_halves + a_lines * a_stride + b_line_of(i) * b_stride + b_vector() * vector_width;
  }

  __device__ __forceinline__ void multiply(int stage) {
    const half* const a = shared_ + stage * stage_halves;
    const half* const b = a + a_lines * a_stride;
    const int row = warp() / WarpsOfColumns * warp_rows, column = warp() % WarpsOfColumns * warp_columns;
#pragma unroll
    for (int k = 0; k < depth; k += 16)
      tile_.multiply(a + (A == ALayout::rows_of_depth ? row * a_stride + k : k * a_stride + row), a_stride,
                     b + (B == BLayout::depth_of_columns ? k * b_stride + column : column * b_stride + k), b_stride);
  }

  template <class Source>
  __device__ __forceinline__ void copy(Source& source, int stage) {
    source.begin_step();
#pragma unroll
    for (int i = 0; i < a_vectors; i++) {
      const half* const from = source.a(i);
      if (Source::a_is_shared)
        store8(a_at(stage, i), load_or_zero(from));
      else
        copy16_async(a_at(stage, i), from ? from : source.any(), from != nullptr);
    }
#pragma unroll
    for (int i = 0; i < b_vectors; i++) {
      const half* const from = source.b(i);
      copy16_async(b_at(stage, i), from ? from : source.any(), from != nullptr);
    }
  }

  template <class Source>
  __device__ __forceinline__ void run_async(Source& source, int steps) {
    constexpr int stages = 3;
#pragma unroll
    for (int s = 0; s < stages - 1; s++) {
      if (s < steps) copy(source, s);
      copy_commit();
    }
    for (int step = 0; step < steps; step++) {
      copy_wait<stages - 2>();
      __syncthreads();  // this step has come, and nobody reads the stage that is written next
      if (step + stages - 1 < steps) copy(source, (step + stages - 1) % stages);
      copy_commit();
      multiply(step % stages);
    }
    copy_wait<0>();
  }

  template <class Source>
  __device__ __forceinline__ void run_registers(Source& source, int steps) {
    Half8 a[a_vectors], b[b_vectors];
    fetch(source, a, b);
    for (int step = 0; step < steps; step++) {
      const int stage = step % 2;
#pragma unroll
      for (int i = 0; i < a_vectors; i++) store8(a_at(stage, i), a[i]);
#pragma unroll
      for (int i = 0; i < b_vectors; i++) store8(b_at(stage, i), b[i]);
      __syncthreads();  // of two stages one is read while the other is written
      if (step + 1 < steps) fetch(source, a, b);
      multiply(stage);
    }
  }

  template <class Source>
  __device__ __forceinline__ void fetch(Source& source, Half8 (&a)[a_vectors], Half8 (&b)[b_vectors]) {
    source.begin_step();
#pragma unroll
    for (int i = 0; i < a_vectors; i++) a[i] = load_or_zero(source.a(i));
#pragma unroll
    for (int i = 0; i < b_vectors; i++) b[i] = load_or_zero(source.b(i));
  }
  static __device__ __forceinline__ Half8 load_or_zero(const half* from) {
    if (from) return load8(from);
    const float zeros[8] = {};
    return to_halves(zeros);
  }

  half* const shared_;
  WarpTile<warp_rows, warp_columns, A, B> tile_;
};

/**
 * Whether this block is the last of `blocks` that come here, with everything the others wrote before visible; leaves the counter zero.
 * Every thread of the block calls it.
 */
__device__ __forceinline__ bool is_last_block(int* counter, int blocks) {
  __shared__ int last;
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) {
    last = atomicAdd(counter, 1) == blocks - 1;
    if (last) *counter = 0;
  }
  __syncthreads();
  if (last) __threadfence();
  return last != 0;
}

/** Sums of a grid's blocks along the inner dimension, put together by the block that comes last, in the order of the parts. */
struct SplitSums {
  int* counters;  // one a tile of the result, zero
  float* parts;   // [tiles][splits][rows·columns]
  int splits;

  /**
   * Every thread of the block calls it with the tile's sums in shared memory (rows of `stride`). False for all blocks but the last, which
   * has the whole sums there afterwards.
   */
  template <int Rows, int Columns, int Threads>
  __device__ __forceinline__ bool combine(float* sums, int stride, int tile, int split) const {
    if (splits == 1) return true;
    constexpr int quads = Rows * Columns / 4;
    float4* const all = reinterpret_cast<float4*>(parts) + static_cast<size_t>(tile) * static_cast<size_t>(splits) * quads;
    for (int q = static_cast<int>(threadIdx.x); q < quads; q += Threads)
      all[split * quads + q] = *reinterpret_cast<const float4*>(sums + q / (Columns / 4) * stride + q % (Columns / 4) * 4);
    if (!is_last_block(counters + tile, splits)) return false;
    for (int q = static_cast<int>(threadIdx.x); q < quads; q += Threads) {
      float4 sum = __ldcg(all + q);
      for (int s = 1; s < splits; s++) {
        const float4 part = __ldcg(all + s * quads + q);
        sum.x += part.x, sum.y += part.y, sum.z += part.z, sum.w += part.w;
      }
      *reinterpret_cast<float4*>(sums + q / (Columns / 4) * stride + q % (Columns / 4) * 4) = sum;
    }
    __syncthreads();
    return true;
  }
};

}  // namespace tvn::cuda
