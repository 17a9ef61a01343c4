// Memory of the device is memory of the host, one allocation of its own each, full of 0xFF (NaN) at first.
#include <cstdlib>
#include <cstring>
#include <memory>

#include "cuda/emulation/device.h"
#include "cuda/emulation/sanitizer.h"

namespace tvn::emulation {

std::size_t guard_bytes() { return address_sanitizer() ? 0 : 256; }

const Allocation* Device::allocation_of(const void* at, std::size_t bytes) const {
  const auto address = reinterpret_cast<std::uintptr_t>(at);
  auto after = allocations.upper_bound(address);
  if (after == allocations.begin()) return nullptr;
  const auto& [begin, allocation] = *--after;
  return address - begin <= allocation.bytes && bytes <= allocation.bytes - (address - begin) ? &allocation : nullptr;
}

bool Device::holds(const void* at, std::size_t bytes, bool on_device) const {
  const Allocation* const allocation = allocation_of(at, bytes);
  return allocation && (allocation->on_device || !on_device);
}

long Device::overrun() const {
  for (const auto& [begin, allocation] : allocations) {
    if (!allocation.on_device) continue;
    const auto* guard = reinterpret_cast<const unsigned char*>(begin) + allocation.bytes;
    for (std::size_t i = 0; i < guard_bytes(); i++)
      if (guard[i] != guard_value) return static_cast<long>(allocation.bytes);
  }
  return -1;
}

namespace {

constexpr std::size_t device_alignment = 256, host_alignment = 4096;

cudaError_t allocate(Device& device, void** to, std::size_t bytes, bool on_device) {
  if (const cudaError_t error = device.forbid_in_capture(); error != cudaSuccess) return error;
  if (!to) return cudaErrorInvalidValue;
  *to = nullptr;
  if (bytes == 0) return cudaSuccess;
  if (on_device && (bytes > option::memory() || device.allocated > option::memory() - bytes)) return cudaErrorMemoryAllocation;
  void* memory = nullptr;
  const std::size_t guard = on_device ? guard_bytes() : 0;
  if (posix_memalign(&memory, on_device ? device_alignment : host_alignment, bytes + guard) != 0) return cudaErrorMemoryAllocation;
  if (on_device) {
    std::memset(memory, 0xFF, bytes);
    std::memset(static_cast<unsigned char*>(memory) + bytes, guard_value, guard);
    device.allocated += bytes;
  }
  device.allocations[reinterpret_cast<std::uintptr_t>(memory)] = {bytes, on_device, current_device()};
  *to = memory;
  return cudaSuccess;
}

cudaError_t release_memory(Device& device, void* memory, bool on_device) {
  if (const cudaError_t error = device.forbid_in_capture(); error != cudaSuccess) return error;
  if (!memory) return cudaSuccess;
  const auto found = device.allocations.find(reinterpret_cast<std::uintptr_t>(memory));
  if (found == device.allocations.end() || found->second.on_device != on_device) return cudaErrorInvalidValue;
  const cudaError_t error = device.finish();
  if (on_device) device.allocated -= found->second.bytes;
  device.allocations.erase(found);
  std::free(memory);
  return error;
}

/** Whether the sides of a copy are where `kind` says. */
bool fits(const Device& device, const void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  const bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  const bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  return (!to_device || device.holds(to, bytes, true)) && (!from_device || device.holds(from, bytes, true));
}

cudaError_t copy_now(void* to, const void* from, std::size_t bytes) {
  if (bytes) std::memmove(to, from, bytes);
  return cudaSuccess;
}

cudaError_t copy_later(Device& device, void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  if (!fits(device, to, from, bytes, kind)) return cudaErrorInvalidValue;
  const bool captured = stream && device.streams.count(stream) && stream->capture;
  // memory that is not pinned is copied away in the call, or to in the call
  if (!captured && !device.holds(from, bytes, false)) {
    const std::shared_ptr<unsigned char[]> staged(new unsigned char[bytes]);
    copy_now(staged.get(), from, bytes);
    return device.enqueue(stream, {cudaGraphNodeTypeMemcpy, [=] { return copy_now(to, staged.get(), bytes); }});
  }
  const cudaError_t error = device.enqueue(stream, {cudaGraphNodeTypeMemcpy, [=] { return copy_now(to, from, bytes); }});
  if (error != cudaSuccess || captured || device.holds(to, bytes, false)) return error;
  return device.finish();
}

cudaError_t set_later(Device& device, void* to, int value, std::size_t bytes, cudaStream_t stream) {
  if (!device.holds(to, bytes, false)) return bytes == 0 ? cudaSuccess : cudaErrorInvalidValue;
  return device.enqueue(stream, {cudaGraphNodeTypeMemset, [=] {
                                   std::memset(to, value, bytes);
                                   return cudaSuccess;
                                 }});
}

}  // namespace
}  // namespace tvn::emulation

using namespace tvn::emulation;

cudaError_t cudaMalloc(void** memory, std::size_t bytes) {
  return api([&](Device& device) { return allocate(device, memory, bytes, true); });
}
cudaError_t cudaMallocHost(void** memory, std::size_t bytes) {
  return api([&](Device& device) { return allocate(device, memory, bytes, false); });
}
cudaError_t cudaHostAlloc(void** memory, std::size_t bytes, unsigned) { return cudaMallocHost(memory, bytes); }
cudaError_t cudaFree(void* memory) {
  return api([&](Device& device) { return release_memory(device, memory, true); });
}
cudaError_t cudaFreeHost(void* memory) {
  return api([&](Device& device) { return release_memory(device, memory, false); });
}

cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  return api([&](Device& device) {
    *total = option::memory();
    *free = *total > device.allocated ? *total - device.allocated : 0;
    return cudaSuccess;
  });
}

cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  return api([&](Device& device) {
    if (const cudaError_t error = device.forbid_in_capture(); error != cudaSuccess) return error;
    if (!fits(device, to, from, bytes, kind)) return cudaErrorInvalidValue;
    const cudaError_t error = device.finish();
    return error != cudaSuccess ? error : copy_now(to, from, bytes);
  });
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  return api([&](Device& device) { return copy_later(device, to, from, bytes, kind, stream); });
}
cudaError_t cudaMemset(void* to, int value, std::size_t bytes) { return cudaMemsetAsync(to, value, bytes, nullptr); }
cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t stream) {
  return api([&](Device& device) { return set_later(device, to, value, bytes, stream); });
}
