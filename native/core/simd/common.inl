// What kernel bodies share besides Vec. Include after core/simd/<isa>.h; the names land in that header's namespace.
#pragma once

#include <cstdint>
#include <utility>

namespace tvn::TVN_ISA {

// Not std::min and std::max: an inline function of namespace std that is not inlined would be emitted with this file's
// instructions, and the linker might keep that copy for callers on any CPU.
constexpr int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
constexpr int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }
constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }  // a >= 0, b > 0

/** The mask of a whole vector: loads and stores under it are plain ones, so a body templated on its mask serves both. */
struct All {};
inline Vec load(const float* p, All) { return load(p); }
inline Vec load_bytes(const uint8_t* p, All) { return load_bytes(p); }
inline void store(float* p, Vec a, All) { store(p, a); }

/** Calls f(c, mask) for the vectors of [begin, end): whole ones with All, then perhaps one with a Mask. */
template <class F>
inline void for_vectors(int64_t begin, int64_t end, const F& f) {
  int64_t c = begin;
  for (; c + lanes <= end; c += lanes) f(c, All{});
  if (c < end) f(c, first(end - c));
}

/** Asks for `count` floats from p on to be brought near. */
inline void prefetch(const float* p, int64_t count) {
  for (int64_t i = 0; i < count; i += 16) __builtin_prefetch(p + i);
}

/** For lambdas whose captured arrays must stay in registers. */
#define TVN_INLINE __attribute__((always_inline))

/** A number known to the compiler that converts to its value. */
template <int I>
struct Index {
  constexpr operator int() const { return I; }
};

/** Calls f(Index<0>) … f(Index<N−1>): a loop that is unrolled for certain, so that arrays indexed by it stay in registers. */
template <int N, class F>
TVN_INLINE inline void unroll(const F& f) {
  [&]<int... i>(std::integer_sequence<int, i...>) TVN_INLINE { (f(Index<i>{}), ...); }
  (std::make_integer_sequence<int, N>{});
}

}  // namespace tvn::TVN_ISA
