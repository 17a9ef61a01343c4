// Division by a number that is known when a kernel is launched: a multiplication and a shift (Granlund and Montgomery 1994).
#pragma once

#include "cuda/device/platform.h"

namespace tvn::cuda {

class Divisor {
 public:
  Divisor() = default;
  /** d in [1, 2³¹). */
  explicit Divisor(int d) : divisor_(static_cast<unsigned>(d)) {
    while (shift_ < 32 && (1ull << shift_) < divisor_) shift_++;
    magic_ = static_cast<unsigned>(((1ull << 32) * ((1ull << shift_) - divisor_)) / divisor_ + 1);
  }
  /** n / d for n in [0, 2³¹). */
  __device__ __forceinline__ int quotient(int n) const {
    const unsigned u = static_cast<unsigned>(n);
    return static_cast<int>((__umulhi(u, magic_) + u) >> shift_);
  }
  __device__ __forceinline__ int remainder(int n, int quotient) const { return n - quotient * static_cast<int>(divisor_); }

 private:
  unsigned divisor_ = 1, magic_ = 1, shift_ = 0;
};

/** Splits a position of a clip or batch into n, t, h, w. */
struct Position {
  int n, t, h, w;
};
struct PositionDivisor {
  Divisor w, h, t;
  PositionDivisor() = default;
  PositionDivisor(int t_extent, int h_extent, int w_extent) : w(w_extent), h(h_extent), t(t_extent) {}
  __device__ __forceinline__ Position split(int position) const {
    const int rows = w.quotient(position), frames = h.quotient(rows), clips = t.quotient(frames);
    return {clips, t.remainder(frames, clips), h.remainder(rows, frames), w.remainder(position, rows)};
  }
};

}  // namespace tvn::cuda
