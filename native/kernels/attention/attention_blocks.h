// How attention is cut up: by the shape alone.
#pragma once

#include "kernels/attention/attention.h"

namespace tvn {

constexpr int64_t query_block = 32;  // queries that are worked on at a time, a whole number of vectors

constexpr int64_t query_blocks(const AttentionShape& s) { return (s.queries + query_block - 1) / query_block; }

/** The backward pass adds dphi and dg up over this many parts of each clip's queries: enough for 16 tasks in all. */
constexpr int64_t query_chunks(const AttentionShape& s) {
  const int64_t wanted = s.n < 16 ? (15 + s.n) / (s.n > 0 ? s.n : 1) : 1, blocks = query_blocks(s);
  return wanted < blocks ? wanted : blocks > 0 ? blocks : 1;
}

/** Floats of one thread's blocks: theta, dy and dtheta [depth, block], scores and their gradients [keys, block]. */
constexpr int64_t block_floats(const AttentionShape& s) { return (3 * s.depth + 2 * s.keys) * query_block; }

}  // namespace tvn
