// Vector body of mean.
#include "core/simd/stream.inl"
#include "kernels/mean/mean.h"

namespace tvn::TVN_ISA {

void mean_forward(const MeanShape& shape, const MeanForwardArgs& args, ThreadPool& pool) {
  const ColumnBlocks blocks = column_blocks(shape.channels);
  const Vec inverse = broadcast(1.0f / static_cast<float>(shape.count));
  pool.run(shape.groups * blocks.count, [&](int64_t task, int) {
    const int64_t group = task / blocks.count, begin = task % blocks.count * blocks.width;
    const Rows rows{shape.count, smaller(blocks.width, shape.channels - begin), shape.channels};
    const float* x = args.x + group * shape.count * shape.channels + begin;
    float* y = args.y + group * shape.channels + begin;
    alignas(64) float sums[tile_capacity];
    std::memset(sums, 0, static_cast<size_t>(tile_size(rows)) * sizeof(float));
    for_each_tile_vector<4>(rows, [x, &sums](int64_t i, int64_t p, auto mask, auto tiles) {
      Vec sum = load(sums + p, mask);
      for (int k = 0; k < tiles.count; k++) sum = sum + load(x + i + k * tiles.step, mask);
      store(sums + p, sum, mask);
    });
    fold(rows, sums);
    for_vectors(0, rows.width, [&](int64_t c, auto mask) { store(y + c, load(sums + c, mask) * inverse, mask); });
  });
}

void mean_backward(const MeanShape& shape, const MeanBackwardArgs& args, ThreadPool& pool) {
  const Vec inverse = broadcast(1.0f / static_cast<float>(shape.count));
  with_flag(args.accumulate, [&](auto accumulate) {
    pool.run(shape.groups, [&](int64_t group, int) {
      const Rows rows{shape.count, shape.channels, shape.channels};
      alignas(64) float storage[tile_capacity];
      const float* dy = repeat(rows, args.dy + group * shape.channels, storage);
      float* dx = args.dx + group * shape.count * shape.channels;
      for_each_tile_vector<1>(rows, [=](int64_t i, int64_t p, auto mask, auto) {
        Vec d = load(dy + p, mask) * inverse;
        if constexpr (accumulate.value) d = load(dx + i, mask) + d;
        store(dx + i, d, mask);
      });
    });
  });
}

}  // namespace tvn::TVN_ISA
