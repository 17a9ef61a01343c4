// Walks over tensors in full vectors: elementwise, and over the rows of [rows, C] with one value per channel at hand.
// Include after core/simd/<isa>.h and core/thread_pool.h; the names land in that header's namespace.
#pragma once

#include <cstring>

#include "core/enums.h"
#include "core/simd/common.inl"

namespace tvn::TVN_ISA {

/**
 * Calls f(begin, end) on every thread's share of [0, count), cut at multiples of `unit`; `weight` is the work of one in floats, and
 * little work stays on one thread. For results that do not depend on where the cuts are.
 */
template <class F>
inline void split(int64_t count, int64_t unit, int64_t weight, ThreadPool& pool, const F& f) {
  constexpr int64_t least = 16384;  // about the microsecond that waking a thread takes
  const int64_t units = (count + unit - 1) / unit, tasks = smaller(pool.threads(), count * weight / least + 1);
  pool.run(tasks, [&](int64_t task, int) { f(units * task / tasks * unit, smaller(units * (task + 1) / tasks * unit, count)); });
}

/** split for elementwise work. */
template <class F>
inline void split(int64_t size, ThreadPool& pool, const F& f) {
  split(size, 16, 1, pool, f);
}

template <Function f>
struct FunctionConstant {
  static constexpr Function value = f;
};
template <bool b>
struct Flag {
  static constexpr bool value = b;
};

/** Calls f with the function as a constant, so that loops do not branch on it. */
template <class F>
inline void with_function(Function function, const F& f) {
  switch (function) {
    case Function::none: return f(FunctionConstant<Function::none>{});
    case Function::relu: return f(FunctionConstant<Function::relu>{});
    case Function::hswish: return f(FunctionConstant<Function::hswish>{});
    case Function::sigmoid: return f(FunctionConstant<Function::sigmoid>{});
  }
}
template <class F>
inline void with_flag(bool flag, const F& f) {
  flag ? f(Flag<true>{}) : f(Flag<false>{});
}

/** Rows of `width` channels, `stride` floats apart. */
struct Rows {
  int64_t count, width, stride;
};

/**
 * A tile is a run of rows that is worked through as one long vector: where C is not a multiple of the lanes, as many rows as make
 * whole vectors (the common period), and several periods when C is small. Values per channel are repeated over the tile once, so
 * that the inner loop knows nothing of rows. Tiles larger than tile_capacity floats are not worth it: then a tile is one row.
 * Fewer rows never make a larger tile, so values repeated for all rows serve any part of them.
 */
constexpr int64_t tile_capacity = 2048;
inline int64_t tile_rows(const Rows& rows) {
  const int64_t power = rows.width & -rows.width, period = power < lanes ? lanes / power : 1, size = period * rows.width;
  if (rows.width != rows.stride || size > tile_capacity) return 1;
  const int64_t wanted = smaller(256, rows.count * rows.width / 8);
  return size < wanted ? period * (wanted / size) : period;
}
inline int64_t tile_size(const Rows& rows) { return tile_rows(rows) * rows.width; }

/** Blocks of at most column_block channels, for sums and values per channel that are kept on the stack. */
constexpr int64_t column_block = 256;
struct ColumnBlocks {
  int64_t count, width;  // of one block; the last one may have fewer
};
inline ColumnBlocks column_blocks(int64_t channels) {
  const int64_t count = (channels + column_block - 1) / column_block, width = (channels + count - 1) / count;
  return {count, count == 1 ? width : (width + 15) / 16 * 16};
}

/** The values of every channel for a whole tile: in `storage` (tile_capacity floats), or where they are when a tile is one row. */
inline const float* repeat(const Rows& rows, const float* values, float* storage) {
  const int64_t size = tile_size(rows);
  if (size == rows.width) return values;
  std::memcpy(storage, values, static_cast<size_t>(rows.width) * sizeof(float));
  for (int64_t n = rows.width; n < size; n *= 2)
    std::memcpy(storage + n, storage, static_cast<size_t>(smaller(n, size - n)) * sizeof(float));
  return storage;
}

/** Adds the rows of a tile of sums to its first row, by halving. */
inline void fold(const Rows& rows, float* sums) {
  for (int64_t n = tile_rows(rows); n > 1; n -= n / 2) {
    const float* upper = sums + (n - n / 2) * rows.width;
    for_vectors(0, n / 2 * rows.width, [&](int64_t i, auto mask) { store(sums + i, load(sums + i, mask) + load(upper + i, mask), mask); });
  }
}

/** `count` vectors, `step` floats apart: the same place in successive tiles. */
template <int n>
struct Tiles {
  static constexpr int count = n;
  int64_t step;
};

/**
 * Calls f(i, p, mask, tiles) for every vector of the rows: it starts at x[i + k·tiles.step], k < tiles.count, and at element p of the
 * tile. `unroll` tiles are taken at a time, so that what is read from and kept for the tile is loaded and stored once for all of them.
 */
template <int unroll, class F>
inline void for_each_tile_vector(const Rows& rows, const F& f) {
  const int64_t tile = tile_rows(rows), step = tile * rows.stride, size = tile * rows.width, tiles = rows.count / tile;
  int64_t start = 0;
  for (int64_t i = 0; i + unroll <= tiles; i += unroll, start += unroll * step)
    for_vectors(0, size, [=, &f](int64_t p, auto mask) { f(start + p, p, mask, Tiles<unroll>{step}); });
  for (int64_t row = tiles / unroll * unroll * tile; row < rows.count; row += tile, start += step)
    for_vectors(0, smaller(tile, rows.count - row) * rows.width, [=, &f](int64_t p, auto mask) { f(start + p, p, mask, Tiles<1>{step}); });
}

}  // namespace tvn::TVN_ISA
