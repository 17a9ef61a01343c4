#include "cuda/kernels/vector.h"

#include "cuda/device/functions.h"
#include "cuda/device/half8.h"

namespace tvn::cuda {
namespace {

constexpr int threads = 256, warps = threads / warp_size;
constexpr int columns = 32, column_vectors = columns / vector_width;  // of a tile
constexpr int slices = threads / column_vectors;                      // of the inputs, each summed by one thread for eight columns
constexpr int row_group = 4;                                          // rows that read a weight together
constexpr int chunk = 2048;                                           // inputs in shared memory at a time

struct Shared {
  float x[row_group][chunk];
  float parts[warps][row_group][columns];
};

/** What other blocks have written in this launch is read past the first cache. */
__device__ __forceinline__ float input(const VectorOp& op, size_t at) {
  const float x = __ldcg(op.x + at);
  return op.times ? x * __ldcg(op.times + at) : x;
}

__device__ __forceinline__ void write(const VectorOp& op, size_t at, float value) {
  value = apply(op.function, value);
  if (op.multiply) value *= __ldcg(op.multiply + at);
  if (op.y16)
    op.y16[at] = __float2half(value);
  else
    op.y[at] = value;
}

/**
 * 32 outputs of four rows, so that even a narrow layer has many tiles and each weight is read once for four clips. The time is that of
 * reading the weights: 64 threads read different inputs of the same 32 columns, 64 bytes at a time.
 */
__device__ __forceinline__ void dense_tile(const VectorOp& op, int first_column, int first_row, int rows, Shared& shared) {
  const int thread = static_cast<int>(threadIdx.x), vector = thread % column_vectors, slice = thread / column_vectors;
  const int column = first_column + vector * vector_width;
  float sums[row_group][8] = {};
  for (int begin = 0; begin < op.inputs; begin += chunk) {
    const int count = min(chunk, op.inputs - begin);
    __syncthreads();
    for (int r = 0; r < row_group; r++)
      for (int i = thread; i < count; i += threads)
        shared.x[r][i] =
            r < rows ? input(op, static_cast<size_t>(first_row + r) * static_cast<size_t>(op.inputs) + static_cast<size_t>(begin + i)) : 0;
    __syncthreads();
    if (column >= op.outputs) continue;
#pragma unroll 4
    for (int k = slice; k < count; k += slices) {
      float w[8];
      load8(op.w + static_cast<size_t>(begin + k) * static_cast<size_t>(op.outputs) + column, w);
#pragma unroll
      for (int r = 0; r < row_group; r++)
#pragma unroll
        for (int i = 0; i < 8; i++) sums[r][i] += shared.x[r][k] * w[i];
    }
  }
#pragma unroll
  for (int r = 0; r < row_group; r++)
#pragma unroll
    for (int i = 0; i < 8; i++) {
      for (int distance = column_vectors; distance < warp_size; distance *= 2)
        sums[r][i] += __shfl_xor_sync(0xffffffffu, sums[r][i], distance);
      if (thread % warp_size < column_vectors) shared.parts[thread / warp_size][r][vector * vector_width + i] = sums[r][i];
    }
  __syncthreads();
  for (int i = thread; i < rows * columns; i += threads) {
    const int r = i / columns, c = i % columns, output = first_column + c;
    if (output >= op.outputs) continue;
    float sum = op.bias ? op.bias[output] : 0;
    for (int w = 0; w < warps; w++) sum += shared.parts[w][r][c];
    write(op, static_cast<size_t>(first_row + r) * static_cast<size_t>(op.outputs) + static_cast<size_t>(output), sum);
  }
}

__device__ __forceinline__ void map_tile(const VectorOp& op, int first_column, int first_row, int rows) {
  for (int i = static_cast<int>(threadIdx.x); i < rows * columns; i += threads) {
    const int output = first_column + i % columns;
    if (output >= op.outputs) continue;
    const size_t at = static_cast<size_t>(first_row + i / columns) * static_cast<size_t>(op.outputs) + static_cast<size_t>(output);
    write(op, at, input(op, at) + (op.bias ? op.bias[output] : 0));
  }
}

/** Every block of the grid waits here for all others, which are resident: the launch is cooperative. */
__device__ __forceinline__ void grid_barrier(int* counters) {
  __syncthreads();
  if (threadIdx.x == 0) {
    volatile int* const generation = counters + 1;
    const int mine = *generation;
    __threadfence();
    if (atomicAdd(counters, 1) == static_cast<int>(gridDim.x) - 1) {
      *counters = 0;
      __threadfence();
      atomicAdd(counters + 1, 1);
    } else {
      while (*generation == mine) __nanosleep(20);
    }
    __threadfence();
  }
  __syncthreads();
}

__host__ __device__ __forceinline__ int column_tiles(const VectorOp& op) { return ceil_div(op.outputs, columns); }

/** Blocks take the tiles of a level in turn, whatever op they belong to. */
__global__ void __launch_bounds__(threads, 2) vector_chain_kernel(const VectorChain chain, int* counters) {
  __shared__ Shared shared;
  const int row_groups = ceil_div(chain.rows, row_group);
  for (int first = 0; first < chain.count;) {
    int end = first;
    while (end < chain.count && chain.level[end] == chain.level[first]) end++;
    int before = 0;
    for (int i = first; i < end; i++) {
      const VectorOp& op = chain.op[i];
      const int tiles = column_tiles(op) * row_groups, blocks = static_cast<int>(gridDim.x);
      // the first tile of this op that is this block's
      for (int tile = (static_cast<int>(blockIdx.x) + blocks - before % blocks) % blocks; tile < tiles; tile += blocks) {
        const int first_row = tile / column_tiles(op) * row_group, first_column = tile % column_tiles(op) * columns;
        const int rows = min(row_group, chain.rows - first_row);
        if (op.w)
          dense_tile(op, first_column, first_row, rows, shared);
        else
          map_tile(op, first_column, first_row, rows);
      }
      before += tiles;
    }
    first = end;
    if (first < chain.count) grid_barrier(counters);
  }
}

}  // namespace

int vector_chain_resident_blocks() {
  int device = 0, multiprocessors = 0, cooperates = 0;
  cudaGetDevice(&device);
  cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device);
  cudaDeviceGetAttribute(&cooperates, cudaDevAttrCooperativeLaunch, device);
  return cooperates ? multiprocessors : 0;  // one on each: they share the weights' bandwidth anyway, and fewer wait for each other sooner
}

void vector_chain(const VectorChain& chain, int resident, int* counters, cudaStream_t stream) {
  if (chain.rows == 0 || chain.count == 0) return;
  const bool at_once = chain.level[chain.count - 1] != chain.level[0] && resident > 0;
  int most = 0;
  for (int first = 0, end; first < chain.count; first = end) {
    VectorChain level{chain.rows, 0, {}, {}};
    int tiles = 0;
    for (end = first; end < chain.count && chain.level[end] == chain.level[first]; end++) {
      tiles += column_tiles(chain.op[end]) * ceil_div(chain.rows, row_group);
      level.op[level.count++] = chain.op[end];
    }
    most = tiles > most ? tiles : most;
    if (!at_once) LAUNCH(vector_chain_kernel, static_cast<unsigned>(tiles), threads, 0, stream, level, counters);
  }
  if (at_once)
    LAUNCH_COOPERATIVE(vector_chain_kernel, static_cast<unsigned>(most < resident ? most : resident), threads, 0, stream, chain, counters);
}

}  // namespace tvn::cuda
