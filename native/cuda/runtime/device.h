// The device's memory, streams, events and graphs as owners, and its errors as ours.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "cuda/device/platform.h"

namespace tvn::cuda {

/**
 * Throws tvn::Error where a call failed: ERR_MEMORY when device memory is full, ERR_DEVICE when the device cannot be used, ERR_DEVICE_LOST
 * when it failed in the middle of work.
 */
void check(cudaError_t error, const char* what);
/** What a kernel launch before it did wrong. */
inline void check_launch(const char* what) { check(cudaGetLastError(), what); }

/** Every call from outside begins with it: the current device belongs to the calling thread. */
void use_device(int device);

/** The first member of whatever has streams or memory of a device: they belong to the one that is current when they are made. */
class CurrentDevice {
 public:
  explicit CurrentDevice(int device) : device_(device) { use_device(device); }
  int index() const { return device_; }
  void use() const { use_device(device_); }

 private:
  int device_;
};

/** Waits for copies and memsets that were not given a stream: our streams do not wait for them. */
inline void finish_uploads() { check(cudaStreamSynchronize(nullptr), "uploading to the GPU"); }

/** Bytes on the device. */
class DeviceBuffer {
 public:
  DeviceBuffer() = default;
  explicit DeviceBuffer(std::size_t bytes);
  DeviceBuffer(DeviceBuffer&& other) noexcept : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  DeviceBuffer& operator=(DeviceBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~DeviceBuffer();

  std::size_t bytes() const { return bytes_; }
  template <class T>
  T* at(std::size_t offset = 0) const {
    return reinterpret_cast<T*>(static_cast<uint8_t*>(data_) + offset);
  }

 private:
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
};

/** Bytes of the host that the device reads and writes directly. */
class PinnedBuffer {
 public:
  PinnedBuffer() = default;
  explicit PinnedBuffer(std::size_t bytes);
  PinnedBuffer(PinnedBuffer&& other) noexcept : data_(std::exchange(other.data_, nullptr)) {}
  PinnedBuffer& operator=(PinnedBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    return *this;
  }
  ~PinnedBuffer();

  template <class T>
  T* at(std::size_t offset = 0) const {
    return reinterpret_cast<T*>(static_cast<uint8_t*>(data_) + offset);
  }

 private:
  void* data_ = nullptr;
};

class Stream {
 public:
  Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  ~Stream();
  operator cudaStream_t() const { return stream_; }
  void synchronize() const { check(cudaStreamSynchronize(stream_), "running on the GPU"); }

 private:
  cudaStream_t stream_ = nullptr;
};

class Event {
 public:
  Event();
  Event(Event&& other) noexcept : event_(std::exchange(other.event_, nullptr)) {}
  Event& operator=(Event&&) = delete;
  ~Event();
  void record(cudaStream_t stream) const { check(cudaEventRecord(event_, stream), "recording an event"); }
  /** Milliseconds from `begin` to this one; both have come. */
  double ms_since(const Event& begin) const;

 private:
  cudaEvent_t event_ = nullptr;
};

/** Work that was recorded once and is launched as a whole. */
class Graph {
 public:
  Graph() = default;
  /** Records what `work` does on the stream. */
  Graph(const Stream& stream, const std::function<void()>& work);
  Graph(Graph&& other) noexcept : graph_(std::exchange(other.graph_, nullptr)) {}
  Graph& operator=(Graph&& other) noexcept {
    std::swap(graph_, other.graph_);
    return *this;
  }
  ~Graph();
  void launch(cudaStream_t stream) const { check(cudaGraphLaunch(graph_, stream), "launching a graph"); }

 private:
  cudaGraphExec_t graph_ = nullptr;
};

/** Milliseconds of the graph on the device, for benchmarks: the fastest of three runs after another one. */
double fastest_ms(const Graph& graph, cudaStream_t stream);

}  // namespace tvn::cuda
