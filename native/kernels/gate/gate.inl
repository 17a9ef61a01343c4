// Vector body of gate.
#include "core/simd/math.inl"
#include "core/simd/stream.inl"
#include "kernels/gate/gate.h"

namespace tvn::TVN_ISA {

namespace {

/** sigmoid(z) of a block of channels. */
struct Gates {
  Gates(const float* z, int64_t channels) {
    for_vectors(0, channels, [&](int64_t c, auto mask) { store(value + c, sigmoid(load(z + c, mask)), mask); });
  }
  alignas(64) float value[column_block];
};

}  // namespace

void gate_forward(const GateShape& shape, const GateForwardArgs& args, ThreadPool& pool) {
  const int64_t channels = shape.channels;
  const ColumnBlocks blocks = column_blocks(channels);
  split(shape.n * shape.positions, 16, channels, pool, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end;) {
      const int64_t n = row / shape.positions, count = smaller((n + 1) * shape.positions, end) - row;
      for (int64_t first_channel = 0; first_channel < channels; first_channel += blocks.width) {
        const Rows rows{count, smaller(blocks.width, channels - first_channel), channels};
        const Gates gates(args.z + n * channels + first_channel, rows.width);
        alignas(64) float storage[tile_capacity];
        const float *x = args.x + row * channels + first_channel, *gate = repeat(rows, gates.value, storage);
        float* y = args.y + row * channels + first_channel;
        for_each_tile_vector<1>(
            rows, [=](int64_t i, int64_t p, auto mask, auto) { store(y + i, load(x + i, mask) * load(gate + p, mask), mask); });
      }
      row += count;
    }
  });
}

void gate_backward(const GateShape& shape, const GateBackwardArgs& args, ThreadPool& pool) {
  const int64_t channels = shape.channels;
  const ColumnBlocks blocks = column_blocks(channels);
  with_flag(args.accumulate, [&](auto accumulate) {
    pool.run(shape.n * blocks.count, [&](int64_t task, int) {
      const int64_t n = task / blocks.count, first_channel = task % blocks.count * blocks.width;
      const int64_t at = n * shape.positions * channels + first_channel;
      const Rows rows{shape.positions, smaller(blocks.width, channels - first_channel), channels};
      const Gates gates(args.z + n * channels + first_channel, rows.width);
      alignas(64) float storage[tile_capacity], sums[tile_capacity];
      std::memset(sums, 0, static_cast<size_t>(tile_size(rows)) * sizeof(float));
      const float *x = args.x + at, *dy = args.dy + at, *gate = repeat(rows, gates.value, storage);
      float *dx = args.dx + at, *dz = args.dz + n * channels + first_channel;
      for_each_tile_vector<4>(rows, [=, &sums](int64_t i, int64_t p, auto mask, auto tiles) {
        const Vec s = load(gate + p, mask);
        Vec sum = load(sums + p, mask);
        for (int k = 0; k < tiles.count; k++) {
          const int64_t j = i + k * tiles.step;
          const Vec d = load(dy + j, mask);
          sum = fma(d, load(x + j, mask), sum);
          Vec result = d * s;
          if constexpr (accumulate.value) result = load(dx + j, mask) + result;
          store(dx + j, result, mask);
        }
        store(sums + p, sum, mask);
      });
      fold(rows, sums);
      for_vectors(0, rows.width, [&](int64_t c, auto mask) {
        const Vec s = load(gates.value + c, mask);
        store(dz + c, s * (broadcast(1.0f) - s) * load(sums + c, mask), mask);
      });
    });
  });
}

}  // namespace tvn::TVN_ISA
