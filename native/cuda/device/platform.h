// CUDA, or its emulation on the CPU: every file of the backend begins here. C++17, which is what nvcc 11.8 speaks.
#pragma once

#ifdef TVN_EMULATION
#include "cuda/emulation/cuda.h"
#else
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#ifdef __CUDACC__
#include <mma.h>

/** Dynamic shared memory as an array of T. */
#define EXTERN_SHARED(T, name)                                         \
  extern __shared__ __align__(128) unsigned char tvn_dynamic_shared[]; \
  T* const name = reinterpret_cast<T*>(tvn_dynamic_shared)
/** kernel<<<grid, block, shared, stream>>>(…); a template's instance in parentheses. */
#define LAUNCH(kernel, grid, block, shared, stream, ...) kernel<<<(grid), (block), (shared), (stream)>>>(__VA_ARGS__)
/** The same with all blocks on the device at once, so that they may wait for each other; what goes wrong is left to cudaGetLastError. */
#define LAUNCH_COOPERATIVE(kernel, grid, block, shared, stream, ...) \
  tvn::cuda::launch_cooperative(kernel, (grid), (block), (shared), (stream), __VA_ARGS__)
#endif
#endif

namespace tvn::cuda {

#if defined(__CUDACC__) && !defined(TVN_EMULATION)
template <class... Parameters>
void launch_cooperative(void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared, cudaStream_t stream, Parameters... arguments) {
  void* pointers[] = {&arguments...};
  cudaLaunchCooperativeKernel(reinterpret_cast<const void*>(kernel), grid, block, pointers, shared, stream);
}
#endif

/** Threads of a warp. */
constexpr int warp_size = 32;
/** Channels of a 16-byte vector of halves: channels are stored in multiples of it. */
constexpr int vector_width = 8;

__host__ __device__ constexpr int ceil_div(int a, int b) { return (a + b - 1) / b; }
__host__ __device__ constexpr int round_up(int a, int multiple) { return ceil_div(a, multiple) * multiple; }
/** Channels as they are stored. */
__host__ __device__ constexpr int stored_channels(int channels) { return round_up(channels, vector_width); }

}  // namespace tvn::cuda
