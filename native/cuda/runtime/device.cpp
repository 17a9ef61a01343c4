#include "cuda/runtime/device.h"

#include <algorithm>
#include <limits>
#include <string>

#include "core/error.h"

namespace tvn::cuda {
namespace {

/** By number: names of some are younger than the oldest CUDA. */
const char* code_of(cudaError_t error) {
  switch (static_cast<int>(error)) {
    case 2: return "ERR_MEMORY";         // MemoryAllocation
    case 35:                             // InsufficientDriver
    case 46:                             // DevicesUnavailable
    case 98:                             // InvalidDeviceFunction
    case 100:                            // NoDevice
    case 101:                            // InvalidDevice
    case 209:                            // NoKernelImageForDevice
    case 222:                            // UnsupportedPtxVersion
    case 802: return "ERR_DEVICE";       // SystemNotReady
    case 214:                            // ECCUncorrectable
    case 700:                            // IllegalAddress
    case 702:                            // LaunchTimeout
    case 710:                            // Assert
    case 714:                            // HardwareStackError
    case 715:                            // IllegalInstruction
    case 716:                            // MisalignedAddress
    case 717:                            // InvalidAddressSpace
    case 718:                            // InvalidPc
    case 719:                            // LaunchFailure
    case 999: return "ERR_DEVICE_LOST";  // Unknown
    default: return "ERR_NATIVE";
  }
}

}  // namespace

void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  cudaGetLastError();  // this one is told: the next call of the thread begins afresh, unless the device is lost
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
  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed), "recording a graph");
  try {
    work();
  } catch (...) {
    cudaStreamEndCapture(stream, &recorded);
    cudaGetLastError();
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

double fastest_ms(const Graph& graph, cudaStream_t stream) {
  const Event begin, end;
  double fastest = std::numeric_limits<double>::infinity();
  graph.launch(stream);
  for (int i = 0; i < 3; i++) {
    begin.record(stream);
    graph.launch(stream);
    end.record(stream);
    check(cudaStreamSynchronize(stream), "running on the GPU");
    fastest = std::min(fastest, end.ms_since(begin));
  }
  return fastest;
}

}  // namespace tvn::cuda
