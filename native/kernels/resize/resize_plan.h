// What every resize kernel works from: the filter of each output position in fixed point, and where its rows lie in scratch.
#pragma once

#include "kernels/resize/resize.h"

namespace tvn {

constexpr int weight_bits = 14;  // a weight of 1 is 1 << weight_bits, so that it fits 16 signed bits
constexpr int row_bits = 7;      // fraction bits of a row after the vertical pass: 255 · 2^7 fits 16 signed bits

/** The filter serves both axes, as square is resized to square. Taps come in pairs; the last of an odd number has weight 0. */
struct ResizePlan {
  int64_t pairs;           // of taps, for every output position
  const int32_t* first;    // [size]: the first tap's pixel
  const int16_t* weights;  // [size, 2·pairs]
  int16_t* row;            // the square's width and 2·pairs pixels of padding, zeroed
  int32_t* sums;           // [size, 3] and one element
};

/** Fills the scratch of the arguments. */
ResizePlan plan_resize(const ResizeArgs&);

/** The reference kernel: also serves squares narrower than a vector. */
void resize_portable(const ResizeArgs&);

}  // namespace tvn
