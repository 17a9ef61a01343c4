// The counter-based generator of dropout, bit for bit that of the CPU (native/kernels/dropout/random.h): two keys from the seed, then 32
// bits from every index.
#pragma once

#include <cstdint>

#include "cuda/device/platform.h"

namespace tvn::cuda {

struct DropoutRandom {
  __host__ __device__ explicit DropoutRandom(uint64_t seed) {
    seed += 0x9e3779b97f4a7c15u;  // splitmix64
    seed = (seed ^ (seed >> 30)) * 0xbf58476d1ce4e5b9u;
    seed = (seed ^ (seed >> 27)) * 0x94d049bb133111ebu;
    seed ^= seed >> 31;
    before = static_cast<uint32_t>(seed);
    between = static_cast<uint32_t>(seed >> 32);
  }
  /** Uniform 32 bits for index i. */
  __host__ __device__ uint32_t operator()(uint32_t i) const { return mix(mix(i ^ before) + between); }

  /** A bijection of 32 bits with avalanche: MurmurHash3's finaliser. */
  __host__ __device__ static uint32_t mix(uint32_t h) {
    h = (h ^ (h >> 16)) * 0x85ebca6bu;
    h = (h ^ (h >> 13)) * 0xc2b2ae35u;
    return h ^ (h >> 16);
  }

  uint32_t before, between;
};

/** Values with fewer bits than this are dropped. */
inline uint32_t dropout_threshold(float rate) { return static_cast<uint32_t>(static_cast<double>(rate) * 0x1p32); }

}  // namespace tvn::cuda
