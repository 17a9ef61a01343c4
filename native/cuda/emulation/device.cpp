#include "cuda/emulation/device.h"

#include <cstdio>
#include <cstdlib>

namespace tvn::emulation {
namespace {

constexpr std::size_t most_queued = 4096;  // operations; then some are done without being asked for

thread_local cudaError_t last_error = cudaSuccess;
thread_local int current = 0;  // device

const char* variable(const char* name) {
  const char* text = std::getenv(name);
  return text && *text ? text : nullptr;
}

long long number(const char* name, long long otherwise) {
  const char* text = variable(name);
  return text ? std::strtoll(text, nullptr, 10) : otherwise;
}

/** 6.1 as 61. */
int version(const char* name, int otherwise) {
  const char* text = variable(name);
  int major = 0, minor = 0;
  return text && std::sscanf(text, "%d.%d", &major, &minor) == 2 ? major * 10 + minor : otherwise;
}

}  // namespace

namespace option {

std::size_t memory() { return static_cast<std::size_t>(number("TVN_EMULATION_MEMORY", 16ll << 30)); }
int driver_version() { return static_cast<int>(number("TVN_EMULATION_DRIVER", 13000)); }
int devices() { return static_cast<int>(number("TVN_EMULATION_DEVICES", 1)); }
int capability() { return version("TVN_EMULATION_CAPABILITY", TVN_EMULATED_SM); }
int oldest_code() { return version("TVN_EMULATION_OLDEST_CODE", 0); }
unsigned threads() { return static_cast<unsigned>(std::max(1ll, number("TVN_EMULATION_THREADS", 1))); }
std::uint64_t seed() { return static_cast<std::uint64_t>(number("TVN_EMULATION_SEED", 0)); }
long lost_after() { return static_cast<long>(number("TVN_EMULATION_LOST_AFTER", -1)); }

}  // namespace option

int& current_device() { return current; }

/** Never destroyed: threads of the host may still call while the program ends. */
Device& Device::get() {
  static Device& device = *new Device;
  return device;
}

cudaError_t Device::enqueue(cudaStream_t stream, Operation operation) {
  if (!stream) {
    // the default stream waits for all others but those made not to: it cannot be part of what they record
    for (const auto& capture : captures)
      if (capture->origin->flags != cudaStreamNonBlocking && capture->mode != cudaStreamCaptureModeRelaxed) {
        capture->valid = false;
        return cudaErrorStreamCaptureImplicit;
      }
  } else if (!streams.count(stream)) {
    return cudaErrorInvalidResourceHandle;
  } else if (stream->capture) {
    if (!stream->capture->valid) return cudaErrorStreamCaptureInvalidated;
    stream->capture->operations.push_back(std::move(operation));
    return cudaSuccess;
  }
  queue_.push_back(std::move(operation));
  return queue_.size() < most_queued ? cudaSuccess : finish();
}

cudaError_t Device::finish() {
  std::vector<Operation> operations;
  operations.swap(queue_);
  for (Operation& operation : operations)
    if (const cudaError_t error = operation.run(); error != cudaSuccess) return broken_ != cudaSuccess ? broken_ : break_down(error, "");
  return cudaSuccess;
}

cudaError_t Device::break_down(cudaError_t error, const std::string& fault) {
  if (!fault.empty()) std::fprintf(stderr, "CUDA emulation: %s\n", fault.c_str());
  fault_ = fault;
  queue_.clear();
  return broken_ = error;
}

void Device::reset() {
  queue_.clear();
  fault_.clear();
  broken_ = cudaSuccess;
  launches_ = 0;
  last_error = cudaSuccess;
}

cudaError_t Device::forbid_in_capture() {
  for (const auto& capture : captures)
    if (capture->mode == cudaStreamCaptureModeGlobal ||
        (capture->mode == cudaStreamCaptureModeThreadLocal && capture->thread == std::this_thread::get_id())) {
      capture->valid = false;
      return cudaErrorStreamCaptureUnsupported;
    }
  return cudaSuccess;
}

cudaError_t note_error(cudaError_t error) {
  if (error != cudaSuccess && error != cudaErrorNotReady) last_error = error;
  return error;
}

std::string last_fault() {
  const std::lock_guard lock(Device::get().mutex);
  return Device::get().fault();
}

void reset() {
  const std::lock_guard lock(Device::get().mutex);
  Device::get().reset();
}

namespace {

/** An error that breaks the device stays, any other one is told once. */
cudaError_t take_last_error(bool keep) {
  const std::lock_guard lock(Device::get().mutex);
  if (const cudaError_t error = Device::get().broken(); error != cudaSuccess) return error;
  const cudaError_t error = last_error;
  if (!keep) last_error = cudaSuccess;
  return error;
}

struct ErrorText {
  cudaError_t error;
  const char *name, *text;
};
#define TVN_ERROR(name, text) \
  { name, #name, text }
constexpr ErrorText error_texts[] = {
    TVN_ERROR(cudaSuccess, "no error"),
    TVN_ERROR(cudaErrorInvalidValue, "invalid argument"),
    TVN_ERROR(cudaErrorMemoryAllocation, "out of memory"),
    TVN_ERROR(cudaErrorInvalidConfiguration, "invalid configuration argument"),
    TVN_ERROR(cudaErrorInvalidMemcpyDirection, "invalid copy direction for memcpy"),
    TVN_ERROR(cudaErrorInsufficientDriver, "CUDA driver version is insufficient for CUDA runtime version"),
    TVN_ERROR(cudaErrorInvalidDeviceFunction, "invalid device function"),
    TVN_ERROR(cudaErrorNoDevice, "no CUDA-capable device is detected"),
    TVN_ERROR(cudaErrorInvalidDevice, "invalid device ordinal"),
    TVN_ERROR(cudaErrorNoKernelImageForDevice, "no kernel image is available for execution on the device"),
    TVN_ERROR(cudaErrorInvalidResourceHandle, "invalid resource handle"),
    TVN_ERROR(cudaErrorIllegalState, "the operation cannot be performed in the present state"),
    TVN_ERROR(cudaErrorNotReady, "device not ready"),
    TVN_ERROR(cudaErrorIllegalAddress, "an illegal memory access was encountered"),
    TVN_ERROR(cudaErrorLaunchFailure, "unspecified launch failure"),
    TVN_ERROR(cudaErrorCooperativeLaunchTooLarge, "too many blocks in cooperative launch"),
    TVN_ERROR(cudaErrorStreamCaptureUnsupported, "operation not permitted when stream is capturing"),
    TVN_ERROR(cudaErrorStreamCaptureInvalidated, "operation failed due to a previous error during capture"),
    TVN_ERROR(cudaErrorStreamCaptureUnmatched, "capture was not initiated in this stream"),
    TVN_ERROR(cudaErrorStreamCaptureUnjoined, "capturing stream has unjoined work"),
    TVN_ERROR(cudaErrorStreamCaptureImplicit, "operation would make the legacy stream depend on a capturing blocking stream"),
    TVN_ERROR(cudaErrorCapturedEvent, "operation not permitted on an event last recorded in a capturing stream"),
};
#undef TVN_ERROR

const ErrorText* find_error(cudaError_t error) {
  for (const ErrorText& text : error_texts)
    if (text.error == error) return &text;
  return nullptr;
}

}  // namespace
}  // namespace tvn::emulation

using namespace tvn::emulation;

const char* cudaGetErrorName(cudaError_t error) {
  const ErrorText* text = find_error(error);
  return text ? text->name : "unrecognized error code";
}
const char* cudaGetErrorString(cudaError_t error) {
  const ErrorText* text = find_error(error);
  return text ? text->text : "unrecognized error code";
}
cudaError_t cudaGetLastError() { return take_last_error(false); }
cudaError_t cudaPeekAtLastError() { return take_last_error(true); }
cudaError_t cudaDeviceSynchronize() {
  return api([](Device& device) {
    const cudaError_t error = device.forbid_in_capture();
    return error != cudaSuccess ? error : device.finish();
  });
}
