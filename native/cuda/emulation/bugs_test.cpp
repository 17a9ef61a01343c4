// Kernels with one bug each, which the emulation finds without a sanitizer; and that a broken device stays broken.
#include <cmath>

#include "cuda/emulation/planted.h"

namespace tvn::emulation {
namespace {

using cuda::test::DeviceArray;
using planted::contains;
using planted::expect_fault;

__global__ void two_barriers(float* y) {
  if (threadIdx.x < 16) {
    PLANTED(0), __syncthreads();
  } else {
    PLANTED(1), __syncthreads();
  }
  y[threadIdx.x] = 0;
}

CUDA_TEST(emulation_finds_divergent_barriers) {
  DeviceArray<float> y(64);
  LAUNCH(two_barriers, 3, 64, 0, nullptr, y.data());
  expect_fault("two_barriers", "block (0,0,0)", PLACE(0), PLACE(1), "barrier");
}

__global__ void barrier_for_some(float* y) {
  if (threadIdx.x % 2) return;
  PLANTED(0), __syncthreads();
  y[threadIdx.x] = 0;
}

CUDA_TEST(emulation_finds_a_barrier_that_threads_never_reach) {
  DeviceArray<float> y(64);
  LAUNCH(barrier_for_some, 1, 64, 0, nullptr, y.data());
  expect_fault("32 at __syncthreads of ", PLACE(0), "32 have returned", "(1,0,0)");
}

__global__ void barrier_against_shuffle(float* y) {
  float x = 1;
  if (threadIdx.x < 32) {
    PLANTED(0), __syncthreads();
  } else if (threadIdx.x < 40) {
    PLANTED(1), x = __shfl_xor_sync(~0u, x, 1);
  } else {
    __syncthreads();
  }
  y[threadIdx.x] = x;
}

CUDA_TEST(emulation_finds_a_deadlock) {
  DeviceArray<float> y(48);
  LAUNCH(barrier_against_shuffle, 1, 40, 0, nullptr, y.data());
  // 32 at the barrier, and 8 lanes have met: they go on and return
  expect_fault("32 at __syncthreads of ", PLACE(0), "8 have returned");
  LAUNCH(barrier_against_shuffle, 1, 48, 0, nullptr, y.data());
  expect_fault(PLACE(0), "barrier");
}

__global__ void shuffle_of_odd_lanes(float* y) {
  float x = 1;
  if (threadIdx.x % 2) PLANTED(0), x += __shfl_xor_sync(~0u, x, 1);
  y[threadIdx.x] = x;
}

CUDA_TEST(emulation_finds_a_shuffle_that_lanes_never_reach) {
  DeviceArray<float> y(32);
  LAUNCH(shuffle_of_odd_lanes, 1, 32, 0, nullptr, y.data());
  expect_fault("16 at __shfl_xor_sync of ", PLACE(0), "16 have returned");
}

__global__ void two_shuffles(float* y) {
  float x = 1;
  if (threadIdx.x < 16) {
    PLANTED(0), x += __shfl_xor_sync(~0u, x, 1);
  } else {
    PLANTED(1), x += __shfl_xor_sync(~0u, x, 1);
  }
  y[threadIdx.x] = x;
}

CUDA_TEST(emulation_finds_divergent_shuffles) {
  DeviceArray<float> y(32);
  LAUNCH(two_shuffles, 1, 32, 0, nullptr, y.data());
  expect_fault(PLACE(0), PLACE(1), "__shfl_xor_sync");
}

__global__ void shuffle_out_of_mask(float* y) {
  float x = 1;
  if (threadIdx.x < 16) PLANTED(0), x = __shfl_sync(0xffffu, x, 20);
  y[threadIdx.x] = x;
}

CUDA_TEST(emulation_finds_a_shuffle_from_outside_of_the_mask) {
  DeviceArray<float> y(32);
  LAUNCH(shuffle_out_of_mask, 1, 32, 0, nullptr, y.data());
  expect_fault(PLACE(0), "reads lane 20", "0000ffff");
}

__global__ void shuffle_without_itself(float* y) {
  float x = 1;
  PLANTED(0), x = __shfl_sync(0xffffu, x, 0);
  y[threadIdx.x] = x;
}

CUDA_TEST(emulation_finds_a_mask_without_the_caller) {
  DeviceArray<float> y(32);
  LAUNCH(shuffle_without_itself, 1, 32, 0, nullptr, y.data());
  expect_fault(PLACE(0), "without the lane 16");
}

using namespace nvcuda;

__global__ void misaligned_fragment(const half* x, float* y) {
  wmma::fragment<wmma::matrix_a, 16, 16, 16, half, wmma::row_major> a;
  PLANTED(0), wmma::load_matrix_sync(a, x + 8, 16);
  y[threadIdx.x] = a.x[0];
}
__global__ void odd_stride(const half* x, float* y) {
  wmma::fragment<wmma::matrix_a, 16, 16, 16, half, wmma::row_major> a;
  PLANTED(0), wmma::load_matrix_sync(a, x, 20);
  y[threadIdx.x] = a.x[0];
}
__global__ void lanes_load_different_tiles(const half* x, float* y) {
  wmma::fragment<wmma::matrix_a, 16, 16, 16, half, wmma::row_major> a;
  PLANTED(0), wmma::load_matrix_sync(a, x + threadIdx.x / 16 * 256, 16);
  y[threadIdx.x] = a.x[0];
}
__global__ void misaligned_rows(const half* x, float* y) {
  unsigned r[4];
  PLANTED(0), cuda::ldmatrix_x4(r, x + threadIdx.x * 12);
  y[threadIdx.x] = __uint_as_float(r[0]);
}
__global__ void misaligned_copy(const half* x, float* y) {
  __shared__ __align__(16) half s[1024];
  PLANTED(0), cuda::copy16_async(s + threadIdx.x * 8, x + threadIdx.x * 9, true);
  y[threadIdx.x] = s[0];
}

CUDA_TEST(emulation_finds_misaligned_tiles_and_copies) {
  DeviceArray<half> x(1024);
  DeviceArray<float> y(32);
  LAUNCH(misaligned_fragment, 1, 32, 0, nullptr, x.data(), y.data());
  expect_fault(PLACE(0), "load_matrix_sync", "32 bytes");
  LAUNCH(odd_stride, 1, 32, 0, nullptr, x.data(), y.data());
  expect_fault(PLACE(0), "stride of 20");
  LAUNCH(lanes_load_different_tiles, 1, 32, 0, nullptr, x.data(), y.data());
  expect_fault(PLACE(0), "other arguments");
  LAUNCH(misaligned_fragment, 1, 16, 0, nullptr, x.data() + 8, y.data());
  expect_fault(PLACE(0), "fewer than 32 threads");
  if (TVN_EMULATED_SM >= 80) {
    LAUNCH(misaligned_rows, 1, 32, 0, nullptr, x.data(), y.data());
    expect_fault(PLACE(0), "ldmatrix", "16 bytes", "thread (1,0,0)");
    LAUNCH(misaligned_copy, 1, 32, 0, nullptr, x.data(), y.data());
    expect_fault(PLACE(0), "cp.async", "16 bytes", "thread (1,0,0)");
  }
}

__global__ void instructions_of_ampere(const half* x) {
  unsigned r[4];
  PLANTED(0), cuda::ldmatrix_x4(r, x);
}

CUDA_TEST(emulation_finds_instructions_that_volta_does_not_have) {
  if (TVN_EMULATED_SM >= 80) return;
  DeviceArray<half> x(1024);
  LAUNCH(instructions_of_ampere, 1, 32, 0, nullptr, x.data());
  expect_fault(PLACE(0), "sm_70 does not have");
}

#if !defined(__SANITIZE_ADDRESS__)  // which finds them itself: sanitizer_test.cpp

__global__ void write_behind_dynamic_memory() {
  EXTERN_SHARED(float, s);
  s[threadIdx.x + 1] = 1;
}
__global__ void write_behind_an_allocation(float* y) { y[threadIdx.x + 1] = 1; }

CUDA_TEST(emulation_finds_writes_behind_memory) {
  LAUNCH(write_behind_dynamic_memory, 1, 64, 256, nullptr);
  expect_fault("write_behind_dynamic_memory", "256 bytes of dynamic shared memory");
  float* y;
  EXPECT(cudaMalloc(&y, 64 * sizeof(float)) == cudaSuccess);
  LAUNCH(write_behind_an_allocation, 1, 64, 0, nullptr, y);
  expect_fault("write_behind_an_allocation", "an allocation of 256 bytes");
  EXPECT(cudaFree(y) == cudaSuccess);
}

#if !defined(__SANITIZE_THREAD__)  // which handles signals itself

struct Addresses {
  float* y;
};
__global__ void write_to(Addresses to) { to.y[threadIdx.x * 1024] = 1; }
__global__ void divide(int* y, int by) { y[threadIdx.x] = y[threadIdx.x] / by; }

CUDA_TEST(emulation_survives_signals) {
  LAUNCH(write_to, 1, 64, 0, nullptr, Addresses{nullptr});
  expect_fault("write_to", "thread (0,0,0)", "null");
  LAUNCH(write_to, 1, 64, 0, nullptr, Addresses{reinterpret_cast<float*>(uintptr_t{4096})});
  expect_fault("write_to", "0x1000 does not exist", "addr2line");
  DeviceArray<int> y(64);
  LAUNCH(divide, 1, 64, 0, nullptr, y.data(), 0);
  expect_fault("divide", "divided by zero");
  LAUNCH(divide, 1, 64, 0, nullptr, y.data(), 2);
  EXPECT(y.read()[0] == 0);
}

#endif

#endif

template <int depth>
float deep(float x) {
  volatile float kept[1024];
  kept[depth] = x;
  if constexpr (depth > 0) return deep<depth - 1>(x) + kept[depth];
  return kept[0];
}
__global__ void large_frames(float* y) { y[threadIdx.x] = deep<8>(1); }

CUDA_TEST(emulation_has_stacks_for_large_frames) {
  DeviceArray<float> y(32);
  LAUNCH(large_frames, 1, 32, 0, nullptr, y.data());
  EXPECT(y.read()[31] == 9);
}

__global__ void reads_what_is_not_written(float* y) {
  __shared__ float fixed[64];
  EXTERN_SHARED(float, dynamic);
  y[threadIdx.x] = fixed[threadIdx.x];
  y[threadIdx.x + 64] = dynamic[threadIdx.x];
  __syncthreads();
  fixed[threadIdx.x] = dynamic[threadIdx.x] = 1;
}

CUDA_TEST(emulation_begins_with_nan) {
  for (int repeat = 0; repeat < 2; repeat++) {
    DeviceArray<float> y(128);
    EXPECT(cudaMemset(y.data(), 0, 128 * sizeof(float)) == cudaSuccess);
    LAUNCH(reads_what_is_not_written, 2, 64, 64 * sizeof(float), nullptr, y.data());
    const auto values = y.read();
#if !defined(__SANITIZE_ADDRESS__)  // there, nobody knows where the static ones are
    EXPECT(std::isnan(values[0]) && std::isnan(values[63]));
#endif
    EXPECT(std::isnan(values[64]) && std::isnan(values[127]));
  }
  float* allocated;
  float value = 0;
  EXPECT(cudaMalloc(&allocated, 4) == cudaSuccess);
  EXPECT(cudaMemcpy(&value, allocated, 4, cudaMemcpyDeviceToHost) == cudaSuccess);
  EXPECT(std::isnan(value));
  EXPECT(cudaFree(allocated) == cudaSuccess);
}

__global__ void touch(float* y) { y[threadIdx.x] = 1; }

CUDA_TEST(emulation_finds_pointers_of_the_host) {
  std::vector<float> y(32);
  LAUNCH(touch, 1, 32, 0, nullptr, y.data());
  expect_fault("touch", "pointer argument number 1");
  float* freed;
  EXPECT(cudaMalloc(&freed, 128) == cudaSuccess);
  EXPECT(cudaFree(freed) == cudaSuccess);
  LAUNCH(touch, 1, 32, 0, nullptr, freed);
  expect_fault("touch", "pointer argument number 1");
}

/** The other blocks wait for one that has a bug. */
__global__ void waits_for_the_broken(unsigned* flag) {
  if (blockIdx.x == 1) {
    if (threadIdx.x < 32) PLANTED(0), __syncthreads();
    return;
  }
  while (*static_cast<volatile unsigned*>(flag) == 0) __nanosleep(100);
}

CUDA_TEST(emulation_ends_blocks_that_wait_for_a_broken_one) {
  DeviceArray<unsigned> flag(std::vector<unsigned>{0});
  LAUNCH_COOPERATIVE(waits_for_the_broken, 4, 64, 0, nullptr, flag.data());
  expect_fault("block (1,0,0)", PLACE(0), "32 have returned");
}

CUDA_TEST(emulation_stays_broken_until_it_is_reset) {
  DeviceArray<float> y(64);
  LAUNCH(two_barriers, 1, 64, 0, nullptr, y.data());
  EXPECT(cudaGetLastError() == cudaSuccess);  // a launch is asynchronous
  EXPECT(cudaDeviceSynchronize() == cudaErrorLaunchFailure);
  EXPECT(cudaGetLastError() == cudaErrorLaunchFailure);
  EXPECT(cudaGetLastError() == cudaErrorLaunchFailure);
  void* memory;
  EXPECT(cudaMalloc(&memory, 16) == cudaErrorLaunchFailure);
  cudaStream_t stream;
  EXPECT(cudaStreamCreate(&stream) == cudaErrorLaunchFailure);
  EXPECT(contains(last_fault(), "two_barriers"));
  reset();
  EXPECT(last_fault().empty());
  EXPECT(cudaGetLastError() == cudaSuccess);
  LAUNCH(touch, 2, 64, 0, nullptr, y.data());
  EXPECT(y.read()[63] == 1);
}

}  // namespace
}  // namespace tvn::emulation
