// The words that CUDA adds to C++: qualifiers, vector types, the coordinates of a thread.
#pragma once

#define __global__
#define __device__
#define __host__
#define __constant__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))

// One OS thread runs a block, so memory of an OS thread is memory of a block. ASan guards no thread_local variables: there it is plain
// memory, and one OS thread runs all blocks. Without constinit an array of halves would have a guard that says whether it was initialised.
#ifdef __SANITIZE_ADDRESS__
#define __shared__ constinit static
#else
#define __shared__ constinit static thread_local
#endif

/** Dynamic shared memory as an array of T. */
#define EXTERN_SHARED(T, name) T* const name = static_cast<T*>(::tvn::emulation::dynamic_shared())

namespace tvn::emulation {
void* dynamic_shared();
}

#define TVN_VECTOR_TYPES(T, name)                                       \
  struct name##1 {                                                      \
    T x;                                                                \
  };                                                                    \
  struct alignas(2 * sizeof(T)) name##2 {                               \
    T x, y;                                                             \
  };                                                                    \
  struct name##3 {                                                      \
    T x, y, z;                                                          \
  };                                                                    \
  struct alignas(4 * sizeof(T) < 16 ? 4 * sizeof(T) : 16) name##4 {     \
    T x, y, z, w;                                                       \
  };                                                                    \
  constexpr name##1 make_##name##1(T x) { return {x}; }                 \
  constexpr name##2 make_##name##2(T x, T y) { return {x, y}; }         \
  constexpr name##3 make_##name##3(T x, T y, T z) { return {x, y, z}; } \
  constexpr name##4 make_##name##4(T x, T y, T z, T w) { return {x, y, z, w}; }
TVN_VECTOR_TYPES(signed char, char)
TVN_VECTOR_TYPES(unsigned char, uchar)
TVN_VECTOR_TYPES(short, short)
TVN_VECTOR_TYPES(unsigned short, ushort)
TVN_VECTOR_TYPES(int, int)
TVN_VECTOR_TYPES(unsigned, uint)
TVN_VECTOR_TYPES(long long, longlong)
TVN_VECTOR_TYPES(unsigned long long, ulonglong)
TVN_VECTOR_TYPES(float, float)
TVN_VECTOR_TYPES(double, double)
#undef TVN_VECTOR_TYPES

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned width = 1, unsigned height = 1, unsigned depth = 1) : x(width), y(height), z(depth) {}
  constexpr dim3(uint3 v) : x(v.x), y(v.y), z(v.z) {}
};

inline constinit thread_local uint3 threadIdx{}, blockIdx{};
inline constinit thread_local dim3 blockDim, gridDim;
constexpr int warpSize = 32;
