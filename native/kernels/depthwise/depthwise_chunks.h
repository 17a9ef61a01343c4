// How the weight gradient is cut into sums that are added up in a fixed order: by the shape alone.
#pragma once

#include "kernels/depthwise/depthwise.h"

namespace tvn {

constexpr int64_t depthwise_rows(const DepthwiseShape& s) { return s.y.n * s.y.t * s.y.h; }

/** Chunk i of n covers the rows [rows·i/n, rows·(i+1)/n) of dy; its partial sums are [KH·KW + 1, C], db last. */
constexpr int64_t depthwise_chunks(const DepthwiseShape& s) {
  constexpr int64_t most = 32;
  return depthwise_rows(s) < most ? depthwise_rows(s) : most;
}

}  // namespace tvn
