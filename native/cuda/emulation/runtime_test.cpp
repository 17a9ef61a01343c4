// The runtime API: memory, the order of streams, graphs, and failures on demand.
#include <chrono>
#include <cstring>
#include <string>
#include <thread>

#include "cuda/emulation/fault.h"
#include "cuda/emulation/scoped_variable.h"
#include "cuda/test/test.h"

namespace tvn::emulation {
namespace {

using cuda::test::check;
using cuda::test::DeviceArray;

__global__ void add(float* y, float value) { y[threadIdx.x] += value; }
__global__ void nothing() {}
__global__ void slow() { std::this_thread::sleep_for(std::chrono::milliseconds(3)); }

struct Stream {
  cudaStream_t stream;
  explicit Stream(unsigned flags = cudaStreamNonBlocking) { check(cudaStreamCreateWithFlags(&stream, flags), "cudaStreamCreate"); }
  ~Stream() { check(cudaStreamDestroy(stream), "cudaStreamDestroy"); }
};

CUDA_TEST(emulation_does_nothing_before_somebody_waits) {
  const Stream s;
  DeviceArray<float> y(std::vector<float>(32, 1.0f));
  float* pinned;
  check(cudaMallocHost(&pinned, 128), "cudaMallocHost");
  pinned[0] = 7;
  LAUNCH(add, 1, 32, 0, s.stream, y.data(), 2.0f);
  check(cudaMemcpyAsync(pinned, y.data(), 128, cudaMemcpyDeviceToHost, s.stream), "cudaMemcpyAsync");
  EXPECT(pinned[0] == 7);
  check(cudaStreamSynchronize(s.stream), "cudaStreamSynchronize");
  EXPECT(pinned[0] == 3);
  // pinned memory is read when the copy happens, other memory in the call
  pinned[0] = 10;
  check(cudaMemcpyAsync(y.data(), pinned, 4, cudaMemcpyHostToDevice, s.stream), "cudaMemcpyAsync");
  pinned[0] = 11;
  float plain = 20;
  check(cudaMemcpyAsync(y.data() + 1, &plain, 4, cudaMemcpyHostToDevice, s.stream), "cudaMemcpyAsync");
  plain = 21;
  check(cudaMemcpyAsync(&plain, y.data() + 1, 4, cudaMemcpyDeviceToHost, s.stream), "cudaMemcpyAsync");
  EXPECT(plain == 20);
  EXPECT(y.read()[0] == 11);
  check(cudaFreeHost(pinned), "cudaFreeHost");
}

CUDA_TEST(emulation_refuses_copies_outside_of_memory) {
  float host[64] = {}, *device;
  check(cudaMalloc(&device, sizeof host), "cudaMalloc");
  EXPECT(reinterpret_cast<uintptr_t>(device) % 256 == 0);
  EXPECT(cudaMemcpy(device, host, sizeof host, cudaMemcpyHostToDevice) == cudaSuccess);
  EXPECT(cudaMemcpy(device + 1, host, sizeof host, cudaMemcpyHostToDevice) == cudaErrorInvalidValue);
  EXPECT(cudaMemcpy(host, device + 1, sizeof host, cudaMemcpyDeviceToHost) == cudaErrorInvalidValue);
  EXPECT(cudaMemcpy(host, host, 4, cudaMemcpyDeviceToHost) == cudaErrorInvalidValue);
  EXPECT(cudaMemset(device, 0, sizeof host + 1) == cudaErrorInvalidValue);
  EXPECT(cudaGetLastError() == cudaErrorInvalidValue);
  EXPECT(cudaGetLastError() == cudaSuccess);
  EXPECT(cudaFree(device + 1) == cudaErrorInvalidValue);
  EXPECT(cudaFree(host) == cudaErrorInvalidValue);
  EXPECT(cudaFree(device) == cudaSuccess);
  EXPECT(cudaFree(device) == cudaErrorInvalidValue);
  EXPECT(cudaFree(nullptr) == cudaSuccess);
  cudaGetLastError();
}

CUDA_TEST(emulation_limits_launches) {
  LAUNCH(nothing, 1, 1025, 0, nullptr);
  EXPECT(cudaGetLastError() == cudaErrorInvalidConfiguration);
  LAUNCH(nothing, dim3(1, 65536), 32, 0, nullptr);
  EXPECT(cudaGetLastError() == cudaErrorInvalidConfiguration);
  LAUNCH(nothing, 0, 32, 0, nullptr);
  EXPECT(cudaGetLastError() == cudaErrorInvalidConfiguration);
  LAUNCH(nothing, 1, 32, 48 << 10, nullptr);
  EXPECT(cudaGetLastError() == cudaSuccess);
  LAUNCH(nothing, 1, 32, (48 << 10) + 1, nullptr);
  EXPECT(cudaGetLastError() == cudaErrorInvalidValue);
  const int most = (TVN_EMULATED_SM < 80 ? 96 : 163) << 10;
  EXPECT(cudaFuncSetAttribute(nothing, cudaFuncAttributeMaxDynamicSharedMemorySize, most + 1) == cudaErrorInvalidValue);
  EXPECT(cudaFuncSetAttribute(nothing, cudaFuncAttributeMaxDynamicSharedMemorySize, most) == cudaSuccess);
  cudaGetLastError();
  LAUNCH(nothing, 1, 32, static_cast<size_t>(most), nullptr);
  EXPECT(cudaDeviceSynchronize() == cudaSuccess);
  int blocks = 0;
  EXPECT(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, nothing, 256, 0) == cudaSuccess && blocks == 8);
  EXPECT(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, nothing, 256, static_cast<size_t>(most)) == cudaSuccess && blocks == 1);
}

CUDA_TEST(emulation_times_events) {
  cudaEvent_t begin, end;
  check(cudaEventCreate(&begin), "cudaEventCreate");
  check(cudaEventCreate(&end), "cudaEventCreate");
  float milliseconds = 0;
  EXPECT(cudaEventElapsedTime(&milliseconds, begin, end) == cudaErrorInvalidResourceHandle);
  cudaGetLastError();
  check(cudaEventRecord(begin), "cudaEventRecord");
  LAUNCH(slow, 2, 1, 0, nullptr);
  check(cudaEventRecord(end), "cudaEventRecord");
  EXPECT(cudaEventElapsedTime(&milliseconds, begin, end) == cudaErrorNotReady);
  check(cudaEventSynchronize(end), "cudaEventSynchronize");
  check(cudaEventElapsedTime(&milliseconds, begin, end), "cudaEventElapsedTime");
  EXPECT(milliseconds >= 3);
  check(cudaEventDestroy(begin), "cudaEventDestroy");
  check(cudaEventDestroy(end), "cudaEventDestroy");
}

CUDA_TEST(emulation_captures_graphs) {
  const Stream s, other;
  DeviceArray<float> y(std::vector<float>(32, 1.0f));
  float* pinned;
  cudaEvent_t fork, join;
  check(cudaMallocHost(&pinned, 128), "cudaMallocHost");
  check(cudaEventCreateWithFlags(&fork, cudaEventDisableTiming), "cudaEventCreate");
  check(cudaEventCreateWithFlags(&join, cudaEventDisableTiming), "cudaEventCreate");
  float value = 2;
  check(cudaStreamBeginCapture(s.stream, cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
  LAUNCH(add, 1, 32, 0, s.stream, y.data(), value);
  value = 100;  // arguments are those of the capture
  check(cudaEventRecord(fork, s.stream), "cudaEventRecord");
  check(cudaStreamWaitEvent(other.stream, fork), "cudaStreamWaitEvent");
  check(cudaMemsetAsync(y.data() + 1, 0, 4, other.stream), "cudaMemsetAsync");
  check(cudaEventRecord(join, other.stream), "cudaEventRecord");
  check(cudaStreamWaitEvent(s.stream, join), "cudaStreamWaitEvent");
  check(cudaMemcpyAsync(pinned, y.data(), 128, cudaMemcpyDeviceToHost, s.stream), "cudaMemcpyAsync");
  cudaStreamCaptureStatus status;
  EXPECT(cudaStreamIsCapturing(other.stream, &status) == cudaSuccess && status == cudaStreamCaptureStatusActive);
  cudaGraph_t graph;
  check(cudaStreamEndCapture(s.stream, &graph), "cudaStreamEndCapture");
  EXPECT(cudaStreamIsCapturing(other.stream, &status) == cudaSuccess && status == cudaStreamCaptureStatusNone);
  EXPECT(y.read()[0] == 1);

  size_t count = 0;
  cudaGraphNode_t nodes[3];
  cudaGraphNodeType type;
  EXPECT(cudaGraphGetNodes(graph, nullptr, &count) == cudaSuccess && count == 3);
  check(cudaGraphGetNodes(graph, nodes, &count), "cudaGraphGetNodes");
  EXPECT(cudaGraphNodeGetType(nodes[1], &type) == cudaSuccess && type == cudaGraphNodeTypeMemset);
  cudaGraphExec_t exec, exec_of_11;
  check(cudaGraphInstantiate(&exec, graph, 0), "cudaGraphInstantiate");
  check(cudaGraphInstantiate(&exec_of_11, graph, nullptr, nullptr, 0), "cudaGraphInstantiate");
  check(cudaGraphDestroy(graph), "cudaGraphDestroy");
  check(cudaGraphLaunch(exec, s.stream), "cudaGraphLaunch");
  check(cudaGraphLaunch(exec_of_11, s.stream), "cudaGraphLaunch");
  check(cudaStreamSynchronize(s.stream), "cudaStreamSynchronize");
  EXPECT(pinned[0] == 5 && pinned[1] == 0 && pinned[31] == 5);
  check(cudaGraphExecDestroy(exec), "cudaGraphExecDestroy");
  check(cudaGraphExecDestroy(exec_of_11), "cudaGraphExecDestroy");
  EXPECT(cudaGraphLaunch(exec, s.stream) == cudaErrorInvalidResourceHandle);
  cudaGetLastError();
  check(cudaEventDestroy(fork), "cudaEventDestroy");
  check(cudaEventDestroy(join), "cudaEventDestroy");
  check(cudaFreeHost(pinned), "cudaFreeHost");
}

/** What must not be done while a stream captures, and that it spoils the capture. */
CUDA_TEST(emulation_spoils_captures) {
  const Stream s, blocking(cudaStreamDefault);
  DeviceArray<float> y(32);
  cudaGraph_t graph;
  void* memory;
  const auto expect_spoiled = [&](cudaStream_t stream, cudaError_t got, cudaError_t want) {
    EXPECT(got == want);
    EXPECT(cudaStreamEndCapture(stream, &graph) == cudaErrorStreamCaptureInvalidated && graph == nullptr);
    cudaGetLastError();
  };
  check(cudaStreamBeginCapture(s.stream, cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
  expect_spoiled(s.stream, cudaMalloc(&memory, 16), cudaErrorStreamCaptureUnsupported);
  check(cudaStreamBeginCapture(s.stream, cudaStreamCaptureModeRelaxed), "cudaStreamBeginCapture");
  check(cudaMalloc(&memory, 16), "cudaMalloc");
  expect_spoiled(s.stream, cudaStreamSynchronize(s.stream), cudaErrorStreamCaptureUnsupported);
  check(cudaFree(memory), "cudaFree");
  check(cudaStreamBeginCapture(s.stream, cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
  expect_spoiled(s.stream, cudaDeviceSynchronize(), cudaErrorStreamCaptureUnsupported);
  check(cudaStreamBeginCapture(blocking.stream, cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
  LAUNCH(nothing, 1, 1, 0, nullptr);
  expect_spoiled(blocking.stream, cudaGetLastError(), cudaErrorStreamCaptureImplicit);
  EXPECT(cudaStreamBeginCapture(nullptr, cudaStreamCaptureModeThreadLocal) == cudaErrorStreamCaptureUnsupported);
  EXPECT(cudaStreamEndCapture(s.stream, &graph) == cudaErrorIllegalState);
  cudaGetLastError();
}

CUDA_TEST(emulation_describes_its_device) {
  cudaDeviceProp properties;
  check(cudaGetDeviceProperties(&properties, 0), "cudaGetDeviceProperties");
  EXPECT(properties.name == "emulated (sm_" + std::to_string(TVN_EMULATED_SM) + ")");
  EXPECT(properties.major * 10 + properties.minor == TVN_EMULATED_SM && properties.multiProcessorCount == 80);
  int value = 0;
  EXPECT(cudaDeviceGetAttribute(&value, cudaDevAttrMaxSharedMemoryPerBlockOptin, 0) == cudaSuccess);
  EXPECT(static_cast<size_t>(value) == properties.sharedMemPerBlockOptin && value == (TVN_EMULATED_SM < 80 ? 98304 : 166912));
  EXPECT(cudaSetDevice(1) == cudaErrorInvalidDevice);
  EXPECT(cudaGetLastError() == cudaErrorInvalidDevice);
  EXPECT(std::strcmp(cudaGetErrorName(cudaErrorIllegalAddress), "cudaErrorIllegalAddress") == 0);
}

__global__ void touch(int* x) { x[0] = 1; }

CUDA_TEST(emulation_keeps_devices_apart) {
  const ScopedVariable variable("TVN_EMULATION_DEVICES", "2");
  int count = 0, current = -1, *first, *second;
  check(cudaGetDeviceCount(&count), "cudaGetDeviceCount");
  EXPECT(count == 2);
  EXPECT(cudaSetDevice(2) == cudaErrorInvalidDevice);
  check(cudaMalloc(&first, 16), "cudaMalloc");
  cudaStream_t stream;
  cudaEvent_t event;
  check(cudaStreamCreate(&stream), "cudaStreamCreate");
  check(cudaEventCreate(&event), "cudaEventCreate");
  check(cudaSetDevice(1), "cudaSetDevice");
  std::thread([&] { EXPECT(cudaGetDevice(&current) == cudaSuccess && current == 0); }).join();  // each thread has its own
  EXPECT(cudaGetDevice(&current) == cudaSuccess && current == 1);
  check(cudaMalloc(&second, 16), "cudaMalloc");
  LAUNCH(touch, 1, 1, 0, nullptr, second);
  EXPECT(cudaDeviceSynchronize() == cudaSuccess);
  LAUNCH(touch, 1, 1, 0, stream, second);
  EXPECT(cudaGetLastError() == cudaErrorInvalidResourceHandle);
  EXPECT(cudaEventRecord(event, nullptr) == cudaErrorInvalidResourceHandle);
  EXPECT(cudaEventRecord(event, stream) == cudaSuccess);
  LAUNCH(touch, 1, 1, 0, nullptr, first);
  EXPECT(cudaDeviceSynchronize() == cudaErrorIllegalAddress);
  EXPECT(last_fault().find("is memory of device 0, the kernel runs on device 1") != std::string::npos);
  reset();
  check(cudaSetDevice(0), "cudaSetDevice");
  check(cudaEventDestroy(event), "cudaEventDestroy");
  check(cudaStreamDestroy(stream), "cudaStreamDestroy");
  check(cudaFree(first), "cudaFree");
  check(cudaFree(second), "cudaFree");
  cudaGetLastError();
}

CUDA_TEST(emulation_fails_on_demand) {
  int count = -1;
  void* memory;
  {
    const ScopedVariable variable("TVN_EMULATION_DEVICES", "0");
    EXPECT(cudaGetDeviceCount(&count) == cudaErrorNoDevice && count == 0);
    EXPECT(cudaMalloc(&memory, 16) == cudaErrorNoDevice);
  }
  {
    const ScopedVariable variable("TVN_EMULATION_DRIVER", "11040");
    EXPECT(cudaGetDeviceCount(&count) == cudaErrorInsufficientDriver);
    EXPECT(cudaDriverGetVersion(&count) == cudaSuccess && count == 11040);
  }
  {
    const ScopedVariable variable("TVN_EMULATION_CAPABILITY", "6.1");
    cudaDeviceProp properties;
    check(cudaGetDeviceProperties(&properties, 0), "cudaGetDeviceProperties");
    EXPECT(properties.major == 6 && properties.minor == 1);
    cudaFuncAttributes attributes;
    EXPECT(cudaFuncGetAttributes(&attributes, nothing) == cudaSuccess);
    const ScopedVariable code("TVN_EMULATION_OLDEST_CODE", "7.0");
    EXPECT(cudaFuncGetAttributes(&attributes, nothing) == cudaErrorNoKernelImageForDevice);
  }
  {
    const ScopedVariable variable("TVN_EMULATION_MEMORY", "1000");
    void* second;
    size_t free = 0, total = 0;
    check(cudaMalloc(&memory, 600), "cudaMalloc");
    EXPECT(cudaMalloc(&second, 401) == cudaErrorMemoryAllocation);
    EXPECT(cudaMemGetInfo(&free, &total) == cudaSuccess && free == 400 && total == 1000);
    check(cudaMalloc(&second, 400), "cudaMalloc");
    check(cudaFree(memory), "cudaFree");
    check(cudaFree(second), "cudaFree");
  }
  {
    const ScopedVariable variable("TVN_EMULATION_LOST_AFTER", "2");
    reset();
    for (int launch = 0; launch < 3; launch++) LAUNCH(nothing, 1, 1, 0, nullptr);
    EXPECT(cudaDeviceSynchronize() == cudaErrorLaunchFailure);
    EXPECT(cudaMalloc(&memory, 16) == cudaErrorLaunchFailure);
  }
  EXPECT(cudaGetDeviceCount(&count) == cudaSuccess && count == 1);
  EXPECT(cudaGetLastError() == cudaSuccess);
}

}  // namespace
}  // namespace tvn::emulation
