// Cuts a square out of an RGB frame and resizes it: bilinear, half-pixel centres, antialiased when shrinking (the triangle filter
// is widened by the scale), the filter cut off at the edges of the square and its weights scaled to a sum of 1, as in PIL and in
// torchvision with antialias; rounded to nearest.
//
//   out[y,x,ch] = clamp(round(gain · Σ wy·wx·in + offset), 0, 255), mirrored in x where `flip`
//
// The same bytes on every instruction set: filter weights are 16-bit fixed point and sums are whole numbers. They differ from exact
// arithmetic only where that is within a tenth of a rounding boundary. The identity when side = size, gain = 1 and offset = 0.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/kernel_list.h"

namespace tvn {

struct ResizeArgs {
  const uint8_t* in;  // [height, width, 3]
  int64_t width, height;
  int64_t left, top, side;  // the square, inside the frame
  bool flip;
  float gain, offset;  // finite; 1 and 0 leave the values as they are
  int64_t size;        // of the result
  uint8_t* out;        // [size, size, 3]
  uint8_t* scratch;    // resize_scratch bytes, one per thread that calls
};

/** One frame on the calling thread: clips are made of many frames, so the caller spreads frames over threads. */
using Resize = void(const ResizeArgs&);

std::span<const Kernel<Resize>> resize_kernels();

std::size_t resize_scratch(int64_t side, int64_t size);

}  // namespace tvn
