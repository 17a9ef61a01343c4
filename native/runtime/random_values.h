// Data for measurements.
#pragma once

#include <cstdint>
#include <span>

namespace tvn {

/** Uniform in [−1, 1): never zeros, which some kernels could profit from. */
inline void fill_random(std::span<float> values) {
  uint64_t state = 0x9e3779b97f4a7c15u;
  for (float& value : values) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    value = static_cast<float>(static_cast<int32_t>(state >> 32)) * 0x1p-31f;
  }
}

}  // namespace tvn
