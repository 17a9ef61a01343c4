#include "cuda/runtime/device.h"

#include <string>

#include "core/error.h"

namespace tvn::cuda {
namespace {

const char* code_of(cudaError_t error) {
  switch (error) {
    case cudaErrorMemoryAllocation: return "ERR_MEMORY";
    case cudaErrorInsufficientDriver:
    case cudaErrorNoDevice:
    case cudaErrorInvalidDevice:
    case cudaErrorInvalidDeviceFunction: return "ERR_DEVICE";
    default: return "ERR_DEVICE_LOST";
  }
}

}  // namespace

void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  if (error == cudaErrorMemoryAllocation) cudaGetLastError();  // it is over: the next call begins afresh
  throw Error(code_of(error), std::string(what) + ": " + cudaGetErrorString(error));
}

void use_device(int device) { check(cudaSetDevice(device), "choosing the GPU"); }

DeviceBuffer::DeviceBuffer(std::size_t bytes) : bytes_(bytes) {
  if (bytes > 0) check(cudaMalloc(&data_, bytes), ("allocating " + std::to_string(bytes) + " bytes of GPU memory").c_str());
}
DeviceBuffer::~DeviceBuffer() { cudaFree(data_); }

PinnedBuffer::PinnedBuffer(std::size_t bytes) { check(cudaMallocHost(&data_, bytes > 0 ? bytes : 1), "allocating pinned memory"); }
PinnedBuffer::~PinnedBuffer() {
  if (data_) cudaFreeHost(data_);
}

Stream::Stream() { check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "creating a stream"); }
Stream::~Stream() { cudaStreamDestroy(stream_); }

Event::Event() { check(cudaEventCreate(&event_), "creating an event"); }
Event::~Event() {
  if (event_) cudaEventDestroy(event_);
}
double Event::ms_since(const Event& begin) const {
  float ms = 0;
  check(cudaEventElapsedTime(&ms, begin.event_, event_), "reading the GPU's clock");
  return static_cast<double>(ms);
}

Graph::Graph(const Stream& stream, const std::function<void()>& work) {
  cudaGraph_t recorded = nullptr;
  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "recording a graph");
  try {
    work();
  } catch (...) {
    cudaStreamEndCapture(stream, &recorded);
    if (recorded) cudaGraphDestroy(recorded);
    throw;
  }
  check(cudaStreamEndCapture(stream, &recorded), "recording a graph");
#if CUDART_VERSION >= 12000
  const cudaError_t error = cudaGraphInstantiate(&graph_, recorded, 0);
#else
  const cudaError_t error = cudaGraphInstantiate(&graph_, recorded, nullptr, nullptr, 0);
#endif
  cudaGraphDestroy(recorded);
  check(error, "building a graph");
}
Graph::~Graph() {
  if (graph_) cudaGraphExecDestroy(graph_);
}

}  // namespace tvn::cuda
