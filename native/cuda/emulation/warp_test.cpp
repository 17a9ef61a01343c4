#include "cuda/test/test.h"

namespace tvn::emulation {
namespace {

using cuda::test::DeviceArray;

template <class Value>
__global__ void shuffles(int* y) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const Value x = static_cast<Value>(lane);
  int* to = y + threadIdx.x * 6;
  to[0] = static_cast<int>(__shfl_sync(~0u, x, 5));
  to[1] = static_cast<int>(__shfl_up_sync(~0u, x, 3));
  to[2] = static_cast<int>(__shfl_down_sync(~0u, x, 4));
  to[3] = static_cast<int>(__shfl_xor_sync(~0u, x, 17));
  to[4] = static_cast<int>(__shfl_sync(~0u, x, 11, 8));
  to[5] = static_cast<int>(__shfl_down_sync(~0u, x, 2, 4));
}

template <class Value>
void expect_shuffles() {
  DeviceArray<int> y(64 * 6);
  const auto kernel = shuffles<Value>;
  LAUNCH(kernel, 1, 64, 0, nullptr, y.data());
  const auto got = y.read();
  for (int i = 0; i < 64; i++) {
    const int lane = i % 32, *to = &got[static_cast<size_t>(i * 6)];
    EXPECT(to[0] == 5);
    EXPECT(to[1] == (lane < 3 ? lane : lane - 3));
    EXPECT(to[2] == (lane > 27 ? lane : lane + 4));
    EXPECT(to[3] == (lane ^ 17));
    EXPECT(to[4] == lane / 8 * 8 + 3);
    EXPECT(to[5] == (lane % 4 > 1 ? lane : lane + 2));
  }
}

CUDA_TEST(emulation_shuffles_values) {
  expect_shuffles<int>();
  expect_shuffles<float>();
  expect_shuffles<double>();
  expect_shuffles<long long>();
}

__global__ void shuffle_halves(float* y) {
  const half2 x = __floats2half2_rn(static_cast<float>(threadIdx.x), 0.5f);
  const half2 other = __shfl_xor_sync(~0u, x, 1);
  const half one = __shfl_xor_sync(~0u, __low2half(x), 2);
  y[threadIdx.x] = __low2float(other) + __high2float(other) + 100 * __half2float(one);
}

CUDA_TEST(emulation_shuffles_halves) {
  DeviceArray<float> y(32);
  LAUNCH(shuffle_halves, 1, 32, 0, nullptr, y.data());
  const auto got = y.read();
  for (int i = 0; i < 32; i++) EXPECT(got[static_cast<size_t>(i)] == static_cast<float>(i ^ 1) + 0.5f + 100.0f * static_cast<float>(i ^ 2));
}

/** Halves of a warp that go different ways meet among themselves. */
__global__ void two_groups(int* y) {
  const int lane = static_cast<int>(threadIdx.x);
  int sum = lane;
  if (lane < 16) {
    for (int step = 8; step > 0; step /= 2) sum += __shfl_xor_sync(0x0000ffffu, sum, step);
  } else {
    for (int step = 1; step < 16; step *= 2) sum += __shfl_xor_sync(0xffff0000u, sum, step);
  }
  __syncwarp();
  y[lane] =
      sum + 1000 * __popc(__ballot_sync(~0u, lane % 5 == 0)) + 100000 * __any_sync(~0u, lane == 3) + 200000 * __all_sync(~0u, lane < 31);
}

CUDA_TEST(emulation_keeps_groups_of_lanes_apart) {
  DeviceArray<int> y(32);
  LAUNCH(two_groups, 1, 32, 0, nullptr, y.data());
  const auto got = y.read();
  for (int i = 0; i < 32; i++) EXPECT(got[static_cast<size_t>(i)] == (i < 16 ? 120 : 376) + 7000 + 100000);
}

/** A block whose last warp is smaller. */
__global__ void small_warp(unsigned* y) { y[threadIdx.x] = __ballot_sync(~0u, 1) + static_cast<unsigned>(__shfl_xor_sync(~0u, 5, 1)); }

CUDA_TEST(emulation_knows_lanes_that_are_not_there) {
  DeviceArray<unsigned> y(38);
  LAUNCH(small_warp, 1, 38, 0, nullptr, y.data());
  const auto got = y.read();
  EXPECT(got[0] == ~0u + 5);
  EXPECT(got[32] == 0x3fu + 5);
}

/** What __syncwarp orders. */
__global__ void through_shared_memory(float* y) {
  __shared__ float s[64];
  const unsigned warp = threadIdx.x / 32 * 32;
  float sum = 0;
  for (int round = 0; round < 4; round++) {
    s[threadIdx.x] = static_cast<float>(threadIdx.x);
    __syncwarp();
    sum += s[warp + (threadIdx.x + 5) % 32];
    __syncwarp();
  }
  y[threadIdx.x] = sum;
}

CUDA_TEST(emulation_orders_memory_of_a_warp) {
  DeviceArray<float> y(64);
  LAUNCH(through_shared_memory, 1, 64, 0, nullptr, y.data());
  EXPECT(y.read()[63] == 4 * 36);
}

}  // namespace
}  // namespace tvn::emulation
