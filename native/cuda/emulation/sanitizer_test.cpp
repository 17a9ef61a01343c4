// Kernels with one bug each, which AddressSanitizer or ThreadSanitizer finds in a build with it. They run in a process of their own, whose
// report has to name the line of the bug.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "cuda/emulation/planted.h"

namespace tvn::emulation {
namespace {

using planted::contains;

constexpr const char* variable = "TVN_EMULATION_PLANTED";

struct Planted {
  const char* name;
  void (*run)();
};

// UBSan, where it is there too, would be first
__global__ __attribute__((no_sanitize_undefined)) void behind_static_memory(float* y, int by) {
  __shared__ float s[64];
  PLANTED(0), s[static_cast<int>(threadIdx.x) + by] = 1;
  __syncthreads();
  y[threadIdx.x] = s[0];
}
__global__ void behind_dynamic_memory(float* y, int by) {
  EXTERN_SHARED(float, s);
  PLANTED(0), s[static_cast<int>(threadIdx.x) + by] = 1;
  __syncthreads();
  y[threadIdx.x] = s[0];
}
__global__ void behind_an_allocation(float* y, int by) { PLANTED(0), y[static_cast<int>(threadIdx.x) + by] = 1; }
__global__ void misaligned_vector(float* y, int by) { PLANTED(0), *reinterpret_cast<float4*>(y + by) = make_float4(1, 2, 3, 4); }
__global__ void without_barrier(float* y, int by) {
  __shared__ float s[64];
  PLANTED(0), s[threadIdx.x] = 1;
  PLANTED(1), y[threadIdx.x] = s[(static_cast<int>(threadIdx.x) + by) % 64];
}
__global__ void without_second_barrier(float* y, int by) {
  __shared__ float s[64];
  for (int round = 0; round < 2; round++) {
    PLANTED(0), s[threadIdx.x] = static_cast<float>(round);
    __syncthreads();
    PLANTED(1), y[threadIdx.x] = s[(static_cast<int>(threadIdx.x) + by) % 64];
  }
}
/** A shuffle waits, but orders no memory. */
__global__ void shuffle_for_barrier(float* y, int by) {
  __shared__ float s[32];
  const int lane = static_cast<int>(threadIdx.x) % 32;
  if (threadIdx.x < 32) {
    PLANTED(0), s[lane] = 1;
    __shfl_sync(~0u, lane, 0);
    PLANTED(1), y[lane] = s[(lane + by) % 32];
  }
}
/** The buffer of a copy is still being read when it begins. */
__global__ void copy_over_what_is_read(float* y, int by) {
  __shared__ __align__(16) float s[64 * 4];
  s[threadIdx.x * 4] = 1;
  __syncthreads();
  PLANTED(0), y[threadIdx.x] = s[(static_cast<int>(threadIdx.x) + by) % 64 * 4];
  PLANTED(1), cuda::copy16_async(s + threadIdx.x * 4, nullptr, false);
  cuda::copy_commit();
  cuda::copy_wait<0>();
}
/** Blocks write the same element. */
__global__ void blocks_collide(float* y, int) {
  for (int i = 0; i < 1000; i++) __nanosleep(0);
  PLANTED(0), y[threadIdx.x] = static_cast<float>(blockIdx.x);
}

template <auto kernel, int by, int blocks = 1>
void run() {
  planted::printing = true;
  float* y;
  cudaMalloc(&y, 64 * sizeof(float));
  LAUNCH(kernel, blocks, 64, 64 * sizeof(float), nullptr, y, by);
  cudaDeviceSynchronize();
}

constexpr Planted list[] = {
    {"behind_static_memory", run<behind_static_memory, 1>},     {"behind_dynamic_memory", run<behind_dynamic_memory, 1>},
    {"before_dynamic_memory", run<behind_dynamic_memory, -1>},  {"behind_an_allocation", run<behind_an_allocation, 1>},
    {"misaligned_vector", run<misaligned_vector, 1>},           {"without_barrier", run<without_barrier, 1>},
    {"without_second_barrier", run<without_second_barrier, 1>}, {"shuffle_for_barrier", run<shuffle_for_barrier, 1>},
    {"copy_over_what_is_read", run<copy_over_what_is_read, 1>}, {"blocks_collide", run<blocks_collide, 1, 2>},
};

/** This process is one of those, if the environment says so: it ends before main. */
const bool ran_planted = [] {
  if (const char* wanted = std::getenv(variable))
    for (const Planted& planted : list)
      if (std::strcmp(planted.name, wanted) == 0) {
        planted.run();
        std::_Exit(0);
      }
  return true;
}();

/** What the process writes to stderr. */
[[maybe_unused]] std::string report_of(const char* name) {
  char program[4096] = {};
  if (readlink("/proc/self/exe", program, sizeof program - 1) < 0) return "";
  const std::string command = std::string(variable) + "=" + name + " TVN_EMULATION_THREADS=2 '" + program + "' 2>&1";
  FILE* output = popen(command.c_str(), "r");
  std::string text;
  char part[4096];
  while (const size_t bytes = std::fread(part, 1, sizeof part, output)) text.append(part, bytes);
  pclose(output);
  return text;
}

/** The report says `what`, and names the lines that were planted. */
[[maybe_unused]] void expect_report(const char* name, const std::string& what, int lines) {
  const std::string report = report_of(name);
  bool complete = contains(report, what);
  for (int i = 0; i < lines; i++) {
    const std::string label = "line " + std::to_string(i) + " is ";
    const size_t at = report.find(label);
    complete = complete && at != std::string::npos &&
               contains(report, "sanitizer_test.cpp:" + std::to_string(std::atoi(report.c_str() + at + label.size())));
  }
  if (!complete) cuda::test::fail(std::string(name) + ": expected " + what + " with its lines in\n" + report);
}

#if defined(__SANITIZE_ADDRESS__)
CUDA_TEST(emulation_with_asan_finds_accesses_outside_of_memory) {
  expect_report("behind_static_memory", "global-buffer-overflow", 1);
  expect_report("behind_dynamic_memory", "heap-buffer-overflow", 1);
  expect_report("before_dynamic_memory", "heap-buffer-overflow", 1);
  expect_report("behind_an_allocation", "heap-buffer-overflow", 1);
}
CUDA_TEST(emulation_with_ubsan_finds_misaligned_vectors) { expect_report("misaligned_vector", "misaligned address", 1); }
#elif defined(__SANITIZE_THREAD__)
CUDA_TEST(emulation_with_tsan_finds_missing_barriers) {
  expect_report("without_barrier", "data race", 2);
  expect_report("without_second_barrier", "data race", 2);
  expect_report("shuffle_for_barrier", "data race", 2);
  if (TVN_EMULATED_SM >= 80) expect_report("copy_over_what_is_read", "data race", 2);
}
CUDA_TEST(emulation_with_tsan_finds_blocks_that_collide) { expect_report("blocks_collide", "data race", 1); }
#endif

}  // namespace
}  // namespace tvn::emulation
