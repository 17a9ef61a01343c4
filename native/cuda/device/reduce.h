// Sums over the threads of a warp and of a block, in a fixed order. Every thread takes part.
#pragma once

#include "cuda/device/half8.h"

namespace tvn::cuda {

/** The sum over a warp, with the same bits in every lane. */
__device__ __forceinline__ float warp_sum(float value) {
#pragma unroll
  for (int distance = warp_size / 2; distance > 0; distance /= 2) value += __shfl_xor_sync(0xffffffffu, value, distance);
  return value;
}

/** The sum over a block of `Threads` (in x), in every thread. `shared`: Threads / 32 floats; may be used again at once. */
template <int Threads>
__device__ __forceinline__ float block_sum(float value, float* shared) {
  static_assert(Threads % warp_size == 0);
  constexpr int warps = Threads / warp_size;
  value = warp_sum(value);
  if (warps == 1) return value;
  __syncthreads();  // a sum before this one may still be read
  if (threadIdx.x % warp_size == 0) shared[threadIdx.x / warp_size] = value;
  __syncthreads();
  float sum = 0;
#pragma unroll
  for (int i = 0; i < warps; i++) sum += shared[i];
  return sum;
}

/** Floats that column_sum takes of shared memory. */
template <int Threads>
constexpr int column_sum_floats = Threads / warp_size* vector_width * 8;

/**
 * Thread i holds a vector of 8 channels of column i % columns; columns is 1, 2, 4 or 8. Returns, in thread i < 8·columns, the sum of
 * channel i over the whole block, else 0. `shared` holds column_sum_floats<Threads>, 16-byte aligned; may be used again at once.
 */
template <int Threads>
__device__ __forceinline__ float column_sum(float (&values)[8], int columns, float* shared) {
  static_assert(Threads % warp_size == 0 && Threads >= 8 * vector_width);
  const int thread = static_cast<int>(threadIdx.x), lane = thread % warp_size, warp = thread / warp_size;
  for (int distance = columns; distance < warp_size; distance *= 2) {
#pragma unroll
    for (int i = 0; i < 8; i++) values[i] += __shfl_xor_sync(0xffffffffu, values[i], distance);
  }
  __syncthreads();  // a sum before this one may still be read
  if (lane < columns) store8(shared + (warp * columns + lane) * vector_width, values);
  __syncthreads();
  float sum = 0;
  if (thread < columns * vector_width) {
#pragma unroll
    for (int i = 0; i < Threads / warp_size; i++) sum += shared[i * columns * vector_width + thread];
  }
  return sum;
}

}  // namespace tvn::cuda
