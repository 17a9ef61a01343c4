// Axis letters: N batch, T frames, H, W, C channels; KT KH KW kernel; ST SH SW stride; OT OH OW OC output.
#pragma once

#include <algorithm>
#include <cstdint>

namespace tvn {

/** A dense NTHWC tensor. */
struct Shape {
  int64_t n = 1, t = 1, h = 1, w = 1, c = 1;
  int64_t rows() const { return n * t * h * w; }  // positions: everything but the channels
  int64_t size() const { return rows() * c; }
  bool operator==(const Shape&) const = default;
};

/** What conv, depthwise and pool share: how a window of x maps to a position of y. */
struct Window {
  int kt = 1, kh = 1, kw = 1;
  int st = 1, sh = 1, sw = 1;
  int64_t pt = 0, ph = 0, pw = 0;  // padding in front
  int taps() const { return kt * kh * kw; }
};

struct WindowAxis {
  int64_t out, pad_front;
};

/** TensorFlow's SAME: ceil(n/s) outputs, the smaller half of the padding in front. */
constexpr WindowAxis same_axis(int64_t n, int k, int s) {
  const int64_t out = (n + s - 1) / s;
  return {out, std::max<int64_t>((out - 1) * s + k - n, 0) / 2};
}

/** VALID: whole windows only; zero outputs when the kernel is larger than the axis. */
constexpr WindowAxis valid_axis(int64_t n, int k, int s) { return {n < k ? 0 : (n - k) / s + 1, 0}; }

}  // namespace tvn
