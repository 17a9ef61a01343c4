// What the emulated device says of itself.
#include <cstdio>
#include <algorithm>

#include "cuda/emulation/device.h"
#include "cuda/emulation/properties.h"

namespace tvn::emulation {

std::size_t most_dynamic_shared() { return std::size_t{option::capability() < 80 ? 96u : 163u} << 10; }

namespace {

cudaDeviceProp properties() {
  const int capability = option::capability();
  cudaDeviceProp p{};
  std::snprintf(p.name, sizeof p.name, "emulated (sm_%d)", capability);
  p.totalGlobalMem = option::memory();
  p.sharedMemPerBlock = default_dynamic_shared;
  p.sharedMemPerBlockOptin = most_dynamic_shared();
  p.sharedMemPerMultiprocessor = capability < 80 ? most_dynamic_shared() : std::size_t{164} << 10;
  p.regsPerBlock = p.regsPerMultiprocessor = 65536;
  p.warpSize = 32;
  p.maxThreadsPerBlock = most_threads;
  p.maxThreadsPerMultiProcessor = 2048;
  p.maxBlocksPerMultiProcessor = 32;
  p.maxThreadsDim[0] = p.maxThreadsDim[1] = 1024, p.maxThreadsDim[2] = 64;
  p.maxGridSize[0] = 2147483647, p.maxGridSize[1] = p.maxGridSize[2] = 65535;
  p.major = capability / 10;
  p.minor = capability % 10;
  p.multiProcessorCount = multiprocessors;
  p.l2CacheSize = 6 << 20;
  p.memoryBusWidth = 4096;
  p.cooperativeLaunch = p.concurrentKernels = 1;
  p.asyncEngineCount = 2;
  return p;
}

bool is_there(int device) { return device >= 0 && device < option::devices(); }

}  // namespace

int active_blocks(unsigned threads, std::size_t dynamic_shared) {
  const cudaDeviceProp p = properties();
  const int by_threads = p.maxThreadsPerMultiProcessor / static_cast<int>(round_to_warps(threads));
  const std::size_t of_system = p.sharedMemPerMultiprocessor - p.sharedMemPerBlockOptin;  // which every block has to pay
  const std::size_t bytes = std::max<std::size_t>(dynamic_shared + of_system, 1);
  const int by_shared = static_cast<int>(p.sharedMemPerMultiprocessor / bytes);
  return std::min({by_threads, by_shared, p.maxBlocksPerMultiProcessor});
}

}  // namespace tvn::emulation

using namespace tvn::emulation;

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 0;
  if (option::driver_version() < oldest_driver) return note_error(cudaErrorInsufficientDriver);
  if (option::devices() < 1) return note_error(cudaErrorNoDevice);
  *count = option::devices();
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
  return api([&](Device&) {
    if (!is_there(device)) return cudaErrorInvalidDevice;
    current_device() = device;
    return cudaSuccess;
  });
}

cudaError_t cudaGetDevice(int* device) {
  return api([&](Device&) {
    *device = current_device();
    return cudaSuccess;
  });
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* to, int device) {
  return api([&](Device&) {
    if (!is_there(device)) return cudaErrorInvalidDevice;
    *to = properties();
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  return api([&](Device&) {
    if (!is_there(device)) return cudaErrorInvalidDevice;
    const cudaDeviceProp p = properties();
    switch (attribute) {
      case cudaDevAttrMaxThreadsPerBlock: *value = p.maxThreadsPerBlock; return cudaSuccess;
      case cudaDevAttrMaxSharedMemoryPerBlock: *value = static_cast<int>(p.sharedMemPerBlock); return cudaSuccess;
      case cudaDevAttrWarpSize: *value = p.warpSize; return cudaSuccess;
      case cudaDevAttrMaxRegistersPerBlock: *value = p.regsPerBlock; return cudaSuccess;
      case cudaDevAttrClockRate: *value = 1380000; return cudaSuccess;
      case cudaDevAttrMultiProcessorCount: *value = p.multiProcessorCount; return cudaSuccess;
      case cudaDevAttrMemoryClockRate: *value = 877000; return cudaSuccess;
      case cudaDevAttrGlobalMemoryBusWidth: *value = p.memoryBusWidth; return cudaSuccess;
      case cudaDevAttrL2CacheSize: *value = p.l2CacheSize; return cudaSuccess;
      case cudaDevAttrMaxThreadsPerMultiProcessor: *value = p.maxThreadsPerMultiProcessor; return cudaSuccess;
      case cudaDevAttrComputeCapabilityMajor: *value = p.major; return cudaSuccess;
      case cudaDevAttrComputeCapabilityMinor: *value = p.minor; return cudaSuccess;
      case cudaDevAttrMaxSharedMemoryPerMultiprocessor: *value = static_cast<int>(p.sharedMemPerMultiprocessor); return cudaSuccess;
      case cudaDevAttrCooperativeLaunch: *value = p.cooperativeLaunch; return cudaSuccess;
      case cudaDevAttrMaxSharedMemoryPerBlockOptin: *value = static_cast<int>(p.sharedMemPerBlockOptin); return cudaSuccess;
    }
    return cudaErrorInvalidValue;
  });
}

cudaError_t cudaDriverGetVersion(int* version) {
  *version = option::driver_version();
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = oldest_driver;
  return cudaSuccess;
}

cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void*) {
  return api([&](Device&) {
    if (option::capability() < option::oldest_code()) return cudaErrorNoKernelImageForDevice;
    *attributes = {most_threads, TVN_EMULATED_SM};
    return cudaSuccess;
  });
}

cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute attribute, int value) {
  return api([&](Device& device) {
    if (attribute == cudaFuncAttributePreferredSharedMemoryCarveout)
      return value >= -1 && value <= 100 ? cudaSuccess : cudaErrorInvalidValue;
    if (value < 0 || static_cast<std::size_t>(value) > most_dynamic_shared()) return cudaErrorInvalidValue;
    device.dynamic_shared[kernel] = static_cast<std::size_t>(value);
    return cudaSuccess;
  });
}

cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, const void*, int block_size, std::size_t dynamic_shared) {
  return api([&](Device&) {
    if (block_size < 1 || block_size > most_threads) return cudaErrorInvalidValue;
    *blocks = active_blocks(static_cast<unsigned>(block_size), dynamic_shared);
    return cudaSuccess;
  });
}
