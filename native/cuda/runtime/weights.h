// Packed weights: collected on the host, uploaded once.
#pragma once

#include <cstring>
#include <vector>

#include "cuda/runtime/device.h"
#include "cuda/runtime/program.h"

namespace tvn::cuda {

class Weights {
 public:
  /** As stored, rounded to halves; returns where they will lie. */
  int64_t add_halves(const ParameterInfo& parameter, std::span<const float> values) {
    return add<half>(parameter, values, [](float value) { return __float2half(value); });
  }
  int64_t add_floats(const ParameterInfo& parameter, std::span<const float> values) {
    return add<float>(parameter, values, [](float value) { return value; });
  }
  int64_t add_packed(const std::vector<half>& values) {
    const size_t offset = reserve(values.size() * sizeof(half));
    std::memcpy(bytes_.data() + offset, values.data(), values.size() * sizeof(half));
    return static_cast<int64_t>(offset);
  }

  size_t bytes() const { return bytes_.size(); }
  DeviceBuffer upload() const {
    DeviceBuffer buffer(bytes_.size());
    if (!bytes_.empty()) check(cudaMemcpy(buffer.at<void>(), bytes_.data(), bytes_.size(), cudaMemcpyHostToDevice), "uploading weights");
    return buffer;
  }

 private:
  /** Where so many zeros will lie. */
  size_t reserve(size_t bytes) {
    const size_t offset = (bytes_.size() + 255) / 256 * 256;
    bytes_.resize(offset + bytes);
    return offset;
  }
  template <class T, class Convert>
  int64_t add(const ParameterInfo& parameter, std::span<const float> values, const Convert& convert) {
    const StoredParameter stored = stored_parameter(parameter);
    const size_t offset = reserve(static_cast<size_t>(stored.size()) * sizeof(T));
    T* const to = reinterpret_cast<T*>(bytes_.data() + offset);
    for_stored(stored, [&](int64_t dense, int64_t at) { to[at] = convert(values[static_cast<size_t>(dense)]); });
    return static_cast<int64_t>(offset);
  }

  std::vector<uint8_t> bytes_;  // zero where nothing is stored
};

}  // namespace tvn::cuda
