// Eight channels at a time: 16 bytes, one load or store.
#pragma once

#include "cuda/device/platform.h"

namespace tvn::cuda {

struct alignas(16) Half8 {
  half2 pair[4];
};

/** Through uint4: nvcc splits the copy of a struct of halves into four accesses. */
__device__ __forceinline__ Half8 load8(const half* from) {
  Half8 values;
  *reinterpret_cast<uint4*>(&values) = *reinterpret_cast<const uint4*>(from);
  return values;
}
/** Zeros, without reading, where `there` is false. */
__device__ __forceinline__ Half8 load8_or_zero(const half* from, bool there) {
  Half8 values;
  *reinterpret_cast<uint4*>(&values) = there ? *reinterpret_cast<const uint4*>(from) : make_uint4(0, 0, 0, 0);
  return values;
}
__device__ __forceinline__ void store8(half* to, const Half8& values) {
  *reinterpret_cast<uint4*>(to) = *reinterpret_cast<const uint4*>(&values);
}

__device__ __forceinline__ void to_floats(const Half8& from, float (&to)[8]) {
#pragma unroll
  for (int i = 0; i < 4; i++) {
    const float2 two = __half22float2(from.pair[i]);
    to[2 * i] = two.x;
    to[2 * i + 1] = two.y;
  }
}
/** Rounded to nearest even; what is too large becomes infinite, which loss scaling sees. */
__device__ __forceinline__ Half8 to_halves(const float (&from)[8]) {
  Half8 to;
#pragma unroll
  for (int i = 0; i < 4; i++) to.pair[i] = __floats2half2_rn(from[2 * i], from[2 * i + 1]);
  return to;
}

__device__ __forceinline__ void load8(const half* from, float (&to)[8]) { to_floats(load8(from), to); }
__device__ __forceinline__ void store8(half* to, const float (&from)[8]) { store8(to, to_halves(from)); }
__device__ __forceinline__ void load8(const float* from, float (&to)[8]) {
  const float4 a = reinterpret_cast<const float4*>(from)[0], b = reinterpret_cast<const float4*>(from)[1];
  to[0] = a.x, to[1] = a.y, to[2] = a.z, to[3] = a.w, to[4] = b.x, to[5] = b.y, to[6] = b.z, to[7] = b.w;
}
__device__ __forceinline__ void store8(float* to, const float (&from)[8]) {
  reinterpret_cast<float4*>(to)[0] = make_float4(from[0], from[1], from[2], from[3]);
  reinterpret_cast<float4*>(to)[1] = make_float4(from[4], from[5], from[6], from[7]);
}

}  // namespace tvn::cuda
