// Vector body of dense. It is the head of a network and waits for its weights to come from memory: outputs are vectorised, rows are not
// tiled.
#include "core/simd/stream.inl"
#include "kernels/dense/dense.h"

namespace tvn::TVN_ISA {

namespace {

/** y[k] += Σ_i a[i·stride]·m[i·pitch + k]: four rows of m a pass over y, those of three passes later on their way from memory. */
void add_products(int64_t count, int64_t outputs, const float* a, int64_t stride, const float* m, int64_t pitch, float* y) {
  constexpr int64_t rows_ahead = 12;
  for (int64_t i = 0; i < count; i += 4) {
    const auto rows = [&](auto tiles) {
      Vec factor[tiles.count];
      const uintptr_t ahead = static_cast<uintptr_t>(rows_ahead * tiles.step) * sizeof(float);  // may lie behind m
      for (int j = 0; j < tiles.count; j++) factor[j] = broadcast(a[(i + j) * stride]);
      for_vectors(0, outputs, [&](int64_t k, auto mask) {
        Vec sum = load(y + k, mask);
        for (int j = 0; j < tiles.count; j++) {
          const float* at = m + (i + j) * tiles.step + k;
          if (k % 16 == 0) __builtin_prefetch(reinterpret_cast<const void*>(reinterpret_cast<uintptr_t>(at) + ahead));
          sum = fma(factor[j], load(at, mask), sum);
        }
        store(y + k, sum, mask);
      });
    };
    switch (count - i) {
      case 1: rows(Tiles<1>{pitch}); break;
      case 2: rows(Tiles<2>{pitch}); break;
      case 3: rows(Tiles<3>{pitch}); break;
      default: rows(Tiles<4>{pitch});
    }
  }
}

}  // namespace

void dense_forward(const DenseShape& shape, const DenseForwardArgs& args, ThreadPool& pool) {
  constexpr int64_t panel = 64;  // outputs of one row that a thread has at least
  split(shape.rows * shape.outputs, panel, shape.channels, pool, [&](int64_t begin, int64_t end) {
    for (int64_t count; begin < end; begin += count) {
      const int64_t r = begin / shape.outputs, k = begin % shape.outputs;
      count = smaller(shape.outputs - k, end - begin);
      float* y = args.y + r * shape.outputs + k;
      std::memcpy(y, args.b + k, static_cast<size_t>(count) * sizeof(float));
      add_products(shape.channels, count, args.x + r * shape.channels, 1, args.w + k, shape.outputs, y);
    }
  });
}

void dense_backward(const DenseShape& shape, const DenseBackwardArgs& args, ThreadPool& pool) {
  const int64_t rows = shape.rows, channels = shape.channels, outputs = shape.outputs;
  split(channels, 1, 2 * rows * outputs, pool, [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; c++) {
      float* dw = args.dw + c * outputs;
      std::memset(dw, 0, static_cast<size_t>(outputs) * sizeof(float));
      add_products(rows, outputs, args.x + c, channels, args.dy, outputs, dw);
      if (!args.dx) continue;
      for (int64_t r = 0; r < rows; r++) {
        Vec total = zero();
        for_vectors(0, outputs, [&](int64_t k, auto mask) {
          total = fma(load(args.dy + r * outputs + k, mask), load(args.w + c * outputs + k, mask), total);
        });
        args.dx[r * channels + c] = sum(total);
      }
    }
  });
  std::memset(args.db, 0, static_cast<size_t>(outputs) * sizeof(float));
  const float one = 1;
  add_products(rows, outputs, &one, 0, args.dy, outputs, args.db);
}

}  // namespace tvn::TVN_ISA
