// Barriers, blocks and the order of threads: what must work, and be clean under every sanitizer.

#include <algorithm>

#include "cuda/emulation/scoped_variable.h"
#include "cuda/test/test.h"

namespace tvn::emulation {
namespace {

using cuda::test::DeviceArray;

__global__ void reverse(const int* x, int* y, int rounds) {
  __shared__ int fixed[256];
  EXTERN_SHARED(int, dynamic);
  const int i = static_cast<int>(threadIdx.x + blockDim.x * threadIdx.y), n = static_cast<int>(blockDim.x * blockDim.y);
  const int block = static_cast<int>(blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z));
  int value = x[block * n + i];
  for (int round = 0; round < rounds; round++) {
    fixed[i] = value;
    __syncthreads();
    dynamic[i] = fixed[n - 1 - i] + 1;
    __syncthreads();
    value = dynamic[n - 1 - i];
  }
  y[block * n + i] = value;
}

void expect_reversed(const char* threads, const char* seed) {
  const ScopedVariable threads_variable("TVN_EMULATION_THREADS", threads), seed_variable("TVN_EMULATION_SEED", seed);
  const cuda::test::Trace trace(std::string("threads ") + threads + ", seed " + seed);
  for (const dim3 block : {dim3(1), dim3(31), dim3(33), dim3(64, 4), dim3(7, 11)}) {
    const int n = static_cast<int>(block.x * block.y), blocks = 2 * 3 * 2;
    std::vector<int> values(static_cast<size_t>(n * blocks));
    for (size_t i = 0; i < values.size(); i++) values[i] = static_cast<int>(i * 7);
    DeviceArray<int> x(values), y(values.size());
    LAUNCH(reverse, dim3(2, 3, 2), block, static_cast<size_t>(n) * sizeof(int), nullptr, x.data(), y.data(), 5);
    const auto got = y.read();
    for (size_t i = 0; i < values.size(); i++) EXPECT(got[i] == values[i] + 5);
  }
}

CUDA_TEST(emulation_runs_blocks_with_barriers) {
  for (const char* threads : {"1", "3"})
    for (const char* seed : {"0", "1", "99"}) expect_reversed(threads, seed);
}

__global__ void votes(int* y) {
  const int i = static_cast<int>(threadIdx.x);
  const int count = __syncthreads_count(i % 3 == 0), none = __syncthreads_or(i > 1000), some = __syncthreads_or(i == 7),
            all = __syncthreads_and(i < 1000), not_all = __syncthreads_and(i != 7);
  y[i] = count * 10000 + (none != 0) * 1000 + (some != 0) * 100 + (all != 0) * 10 + (not_all != 0);
}

CUDA_TEST(emulation_counts_votes_of_a_block) {
  DeviceArray<int> y(100);
  LAUNCH(votes, 1, 100, 0, nullptr, y.data());
  for (const int value : y.read()) EXPECT(value == 34 * 10000 + 110);
}

__global__ void order(unsigned* counter, unsigned* y) { y[threadIdx.x] = atomicAdd(counter, 1); }

CUDA_TEST(emulation_shuffles_threads_by_a_seed) {
  std::vector<std::vector<unsigned>> orders;
  for (const char* seed : {"0", "5", "6", "5"}) {
    const ScopedVariable variable("TVN_EMULATION_SEED", seed);
    DeviceArray<unsigned> counter(std::vector<unsigned>{0}), y(64);
    LAUNCH(order, 1, 64, 0, nullptr, counter.data(), y.data());
    orders.push_back(y.read());
  }
  for (unsigned i = 0; i < 64; i++) EXPECT(orders[0][i] == i);
  EXPECT(orders[1] != orders[0] && orders[1] != orders[2] && orders[1] == orders[3]);
}

__global__ void order_of_blocks(unsigned* counter, unsigned* y) {
  if (threadIdx.x == 0) y[blockIdx.x] = atomicAdd(counter, 1);
}

CUDA_TEST(emulation_shuffles_blocks_by_a_seed) {
  for (const unsigned blocks : {1u, 12u, 97u})
    for (const char* seed : {"0", "1", "5", "12", "97"}) {
      const ScopedVariable variable("TVN_EMULATION_SEED", seed);
      DeviceArray<unsigned> counter(std::vector<unsigned>{0}), y(blocks);
      LAUNCH(order_of_blocks, blocks, 32, 0, nullptr, counter.data(), y.data());
      std::vector<unsigned> turns = y.read(), sorted(blocks);
      for (unsigned i = 0; i < blocks; i++) sorted[i] = i;
      EXPECT((turns == sorted) == (blocks == 1 || seed[0] == '0'));
      std::sort(turns.begin(), turns.end());
      EXPECT(turns == sorted);  // each of them once
    }
}

#if !defined(__SANITIZE_THREAD__)  // which finds that nothing orders the flag
/** Threads that wait for the last one. */
__global__ void waits_for_the_last_thread(volatile int* flag) {
  if (threadIdx.x + 1 == blockDim.x) *flag = 1;
  while (*flag == 0) __nanosleep(100);
}

CUDA_TEST(emulation_runs_threads_that_wait_for_one_another) {
  DeviceArray<int> flag(std::vector<int>{0});
  LAUNCH(waits_for_the_last_thread, 1, 100, 0, nullptr, flag.data());
  EXPECT(flag.read()[0] == 1);
}
#endif

/** Blocks add their parts; the one that comes last adds the sums in their order. */
__global__ void sum_of_parts(const int* x, int n, int* parts, unsigned* arrived, int* y) {
  __shared__ int sums[64];
  __shared__ bool last;
  int sum = 0;
  for (int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x); i < n; i += static_cast<int>(gridDim.x * blockDim.x)) sum += x[i];
  sums[threadIdx.x] = sum;
  for (unsigned half_of = 32; half_of > 0; half_of /= 2) {
    __syncthreads();
    if (threadIdx.x < half_of) sums[threadIdx.x] += sums[threadIdx.x + half_of];
  }
  if (threadIdx.x == 0) {
    parts[blockIdx.x] = sums[0];
    __threadfence();
    last = atomicInc(arrived, gridDim.x - 1) == gridDim.x - 1;
  }
  __syncthreads();
  if (last && threadIdx.x == 0) {
    int total = 0;
    for (unsigned i = 0; i < gridDim.x; i++) total += __ldcg(parts + i);
    *y = total;
  }
}

CUDA_TEST(emulation_runs_the_last_block_pattern) {
  for (const char* threads : {"1", "2", "4"}) {
    const ScopedVariable variable("TVN_EMULATION_THREADS", threads);
    const std::vector<int> ones(10000, 1);
    DeviceArray<int> x(ones), parts(17), y(1);
    DeviceArray<unsigned> arrived(std::vector<unsigned>{0});
    for (int repeat = 0; repeat < 3; repeat++) {
      LAUNCH(sum_of_parts, 17, 64, 0, nullptr, x.data(), 10000, parts.data(), arrived.data(), y.data());
      EXPECT(y.read()[0] == 10000);
      EXPECT(arrived.read()[0] == 0);
    }
  }
}

/** Blocks wait for one another. */
__device__ void grid_barrier(unsigned* arrived) {
  __syncthreads();
  if (threadIdx.x == 0) {
    __threadfence();
    const unsigned ticket = atomicAdd(arrived, 1u), goal = (ticket / gridDim.x + 1) * gridDim.x;
    while (*static_cast<volatile unsigned*>(arrived) < goal) __nanosleep(100);
    __threadfence();
  }
  __syncthreads();
}
__global__ void rotate(int* x, int* y, unsigned* arrived, int rounds) {
  EXTERN_SHARED(int, kept);
  __shared__ int also_kept[64];
  const int n = static_cast<int>(gridDim.x * blockDim.x), i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  for (int round = 0; round < rounds; round++) {
    kept[threadIdx.x] = x[(i + 1) % n];
    also_kept[threadIdx.x] = 1;
    grid_barrier(arrived);
    y[i] = kept[threadIdx.x] + also_kept[threadIdx.x]++;
    grid_barrier(arrived);
    int* const swap = x;
    x = y;
    y = swap;
  }
}

CUDA_TEST(emulation_runs_cooperative_launches) {
  const int blocks = 10, threads = 64, n = blocks * threads;
  std::vector<int> values(static_cast<size_t>(n));
  for (int i = 0; i < n; i++) values[static_cast<size_t>(i)] = i;
  DeviceArray<int> x(values), y(values.size());
  DeviceArray<unsigned> arrived(std::vector<unsigned>{0});
  LAUNCH_COOPERATIVE(rotate, blocks, threads, threads * sizeof(int), nullptr, x.data(), y.data(), arrived.data(), 4);
  auto got = x.read();
  for (int i = 0; i < n; i++) EXPECT(got[static_cast<size_t>(i)] == (i + 4) % n + 4);
  int *from = x.data(), *to = y.data(), rounds = 2;
  unsigned* counter = arrived.data();
  void* arguments[] = {&from, &to, &counter, &rounds};
  EXPECT(cudaLaunchCooperativeKernel(rotate, blocks, threads, arguments, threads * sizeof(int), nullptr) == cudaSuccess);
  got = x.read();
  for (int i = 0; i < n; i++) EXPECT(got[static_cast<size_t>(i)] == (i + 6) % n + 6);
  LAUNCH_COOPERATIVE(rotate, 80 * 64, threads, 0, nullptr, x.data(), y.data(), arrived.data(), 1);
  EXPECT(cudaGetLastError() == cudaErrorCooperativeLaunchTooLarge);
}

}  // namespace
}  // namespace tvn::emulation
