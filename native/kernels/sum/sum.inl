// Vector body of sum.
#include "core/simd/stream.inl"
#include "kernels/sum/sum.h"

namespace tvn::TVN_ISA {
namespace {

/** Of `count` neighbours. */
float sum_of_row(const float* x, int64_t count) {
  Vec sums[4] = {zero(), zero(), zero(), zero()};
  int64_t i = 0;
  for (; i + 4 * lanes <= count; i += 4 * lanes)
    for (int k = 0; k < 4; k++) sums[k] = sums[k] + load(x + i + k * lanes);
  for_vectors(i, count, [&](int64_t at, auto mask) { sums[0] = sums[0] + load(x + at, mask); });
  return sum((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

/** Column by column of some rows of at most column_block channels. */
void sum_of_columns(const Rows& rows, const float* x, float* y) {
  alignas(64) float sums[tile_capacity];
  std::memset(sums, 0, static_cast<size_t>(tile_size(rows)) * sizeof(float));
  for_each_tile_vector<4>(rows, [x, &sums](int64_t i, int64_t p, auto mask, auto tiles) {
    Vec s = load(sums + p, mask);
    for (int k = 0; k < tiles.count; k++) s = s + load(x + i + k * tiles.step, mask);
    store(sums + p, s, mask);
  });
  fold(rows, sums);
  std::memcpy(y, sums, static_cast<size_t>(rows.width) * sizeof(float));
}

/** `count` rows of `width` floats become their sum, in the first, by halving. */
void fold_parts(float* rows, int64_t count, int64_t pitch, int64_t width) {
  for (int64_t n = count; n > 1; n -= n / 2)
    for (int64_t k = 0; k < n / 2; k++) {
      float *to = rows + k * pitch, *from = rows + (n - n / 2 + k) * pitch;
      for_vectors(0, width, [=](int64_t i, auto mask) { store(to + i, load(to + i, mask) + load(from + i, mask), mask); });
    }
}

}  // namespace

void sum(const SumShape& s, const SumArgs& args, ThreadPool& pool) {
  const int64_t parts = s.parts();
  float* const sums = parts > 1 ? args.scratch : args.y;
  const ColumnBlocks blocks = column_blocks(s.inner);
  const auto columns = [&](int64_t block) { return smaller(blocks.width, s.inner - block * blocks.width); };
  // [outer, parts, inner]
  split(s.outer * parts * blocks.count, 1, smaller(s.part(), s.count) * blocks.width, pool, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; task++) {
      const int64_t row = task / blocks.count, block = task % blocks.count, part = row % parts, first = part * s.part();
      const int64_t count = smaller(s.part(), s.count - first), column = block * blocks.width;
      const float* x = args.x + (row / parts * s.count + first) * s.inner + column;
      float* y = sums + row * s.inner + column;
      if (s.inner == 1)
        *y = sum_of_row(x, count);
      else
        sum_of_columns({count, columns(block), s.inner}, x, y);
    }
  });
  const Vec scale = broadcast(args.scale);
  split(s.outer * blocks.count, 1, parts * blocks.width, pool, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; task++) {
      const int64_t o = task / blocks.count, column = task % blocks.count * blocks.width, width = columns(task % blocks.count);
      float* from = sums + o * parts * s.inner + column;
      float* to = args.y + o * s.inner + column;
      fold_parts(from, parts, s.inner, width);
      for_vectors(0, width, [=](int64_t i, auto mask) { store(to + i, load(from + i, mask) * scale, mask); });
    }
  });
}

}  // namespace tvn::TVN_ISA
