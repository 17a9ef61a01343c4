// The state of the emulated device behind the runtime API: what is queued, what is allocated, whether it is broken.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "cuda/emulation/launch.h"
#include "cuda/emulation/properties.h"
#include "cuda/emulation/runtime.h"

namespace tvn::emulation {

/** Something that a stream does. */
struct Operation {
  cudaGraphNodeType type;
  std::function<cudaError_t()> run;
};

/** Operations that a stream records instead of doing them. */
struct Capture {
  cudaStream_t origin;
  cudaStreamCaptureMode mode;
  std::thread::id thread;
  bool valid = true;
  std::vector<Operation> operations;
};

struct Allocation {
  std::size_t bytes;
  bool on_device;  // or pinned memory of the host
  int device;      // that was the current one
};

/** What the environment says of the device (README.md lists the variables). */
namespace option {
std::size_t memory();  // bytes
int driver_version();
int devices();
int capability();   // 70, 80 …
int oldest_code();  // capability
unsigned threads();
std::uint64_t seed();
long lost_after();  // launches; negative: never
}  // namespace option

class Device {
 public:
  static Device& get();

  std::recursive_mutex mutex;
  std::map<std::uintptr_t, Allocation> allocations;
  std::size_t allocated = 0;                          // bytes of the device
  std::map<const void*, std::size_t> dynamic_shared;  // what kernels may ask for above 48 KiB
  std::set<cudaStream_t> streams;
  std::set<cudaEvent_t> events;
  std::set<cudaGraph_t> graphs;
  std::set<cudaGraphExec_t> execs;
  std::vector<std::shared_ptr<Capture>> captures;  // that have begun and not ended

  /** Puts it into the stream's capture or into the queue. */
  cudaError_t enqueue(cudaStream_t stream, Operation operation);
  /** Does all that is queued. */
  cudaError_t finish();
  /** Runs a kernel to its end. */
  cudaError_t execute(const Kernel& kernel);

  /** Every call fails from now on. */
  cudaError_t break_down(cudaError_t error, const std::string& fault);
  cudaError_t broken() const { return broken_; }
  const std::string& fault() const { return fault_; }
  void reset();

  /** Whether [at, at + bytes) lies in one allocation; of the device only, if so asked. */
  bool holds(const void* at, std::size_t bytes, bool on_device) const;
  /** The one allocation that [at, at + bytes) lies in, or null. */
  const Allocation* allocation_of(const void* at, std::size_t bytes) const;
  /** The bytes of an allocation behind which something was written; −1 where there is none. */
  long overrun() const;

  /** Calls that wait for the device or change its memory may not be made while a stream captures: they fail and spoil the capture. */
  cudaError_t forbid_in_capture();

 private:
  std::vector<Operation> queue_;
  cudaError_t broken_ = cudaSuccess;
  std::string fault_;
  long launches_ = 0;
};

/**
 * The calling thread's device. Devices share queue and kernels; what has to be of one device is checked: a stream with the current device
 * of a launch, an event with its stream, pointer arguments with the device that runs the kernel.
 */
int& current_device();

/** Room behind an allocation that nobody may write; none under ASan, which sees more. */
std::size_t guard_bytes();
constexpr unsigned char guard_value = 0xA5;

/** What every call begins and ends with: a device that is there and not broken; the error for cudaGetLastError. */
cudaError_t note_error(cudaError_t error);
template <class Call>
cudaError_t api(Call call) {
  Device& device = Device::get();
  const std::lock_guard lock(device.mutex);
  if (option::driver_version() < oldest_driver) return note_error(cudaErrorInsufficientDriver);
  if (option::devices() < 1) return note_error(cudaErrorNoDevice);
  if (device.broken() != cudaSuccess) return note_error(device.broken());
  return note_error(call(device));
}

}  // namespace tvn::emulation

struct CUstream_st {
  unsigned flags;
  int device;
  std::shared_ptr<tvn::emulation::Capture> capture;
};

struct CUevent_st {
  explicit CUevent_st(int of) : device(of) {}

  struct Times {
    int pending = 0;
    bool recorded = false;
    std::chrono::steady_clock::time_point at;
  };
  int device;
  std::shared_ptr<Times> times = std::make_shared<Times>();
  std::shared_ptr<tvn::emulation::Capture> capture;
};

struct CUgraphNode_st : tvn::emulation::Operation {};

struct CUgraph_st {
  std::vector<CUgraphNode_st> nodes;
};
struct CUgraphExec_st {
  std::shared_ptr<const std::vector<CUgraphNode_st>> nodes;
};
