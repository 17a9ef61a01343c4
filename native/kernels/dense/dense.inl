// Vector body of dense. It is the head of a network and takes a thousandth of its time: outputs are vectorised, rows are not tiled.
#include "core/simd/stream.inl"
#include "kernels/dense/dense.h"

namespace tvn::TVN_ISA {

namespace {

/** y[k] += Σ_i a[i·stride]·m[i,k]: four rows of m a pass over y. */
void add_products(int64_t count, int64_t outputs, const float* a, int64_t stride, const float* m, float* y) {
  for (int64_t i = 0; i < count; i += 4) {
    const auto rows = [&](auto tiles) {
      Vec factor[tiles.count];
      for (int j = 0; j < tiles.count; j++) factor[j] = broadcast(a[(i + j) * stride]);
      for_vectors(0, outputs, [&](int64_t k, auto mask) {
        Vec sum = load(y + k, mask);
        for (int j = 0; j < tiles.count; j++) sum = fma(factor[j], load(m + (i + j) * tiles.step + k, mask), sum);
        store(y + k, sum, mask);
      });
    };
    switch (count - i) {
      case 1: rows(Tiles<1>{outputs}); break;
      case 2: rows(Tiles<2>{outputs}); break;
      case 3: rows(Tiles<3>{outputs}); break;
      default: rows(Tiles<4>{outputs});
    }
  }
}

}  // namespace

void dense_forward(const DenseShape& shape, const DenseForwardArgs& args, ThreadPool& pool) {
  split(shape.rows, 1, shape.channels * shape.outputs, pool, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; r++) {
      float* y = args.y + r * shape.outputs;
      std::memcpy(y, args.b, static_cast<size_t>(shape.outputs) * sizeof(float));
      add_products(shape.channels, shape.outputs, args.x + r * shape.channels, 1, args.w, y);
    }
  });
}

void dense_backward(const DenseShape& shape, const DenseBackwardArgs& args, ThreadPool& pool) {
  const int64_t rows = shape.rows, channels = shape.channels, outputs = shape.outputs;
  split(channels, 1, 2 * rows * outputs, pool, [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; c++) {
      float* dw = args.dw + c * outputs;
      std::memset(dw, 0, static_cast<size_t>(outputs) * sizeof(float));
      add_products(rows, outputs, args.x + c, channels, args.dy, dw);
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
  add_products(rows, outputs, &one, 0, args.dy, args.db);
}

}  // namespace tvn::TVN_ISA
