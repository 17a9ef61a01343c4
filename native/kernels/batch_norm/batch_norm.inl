// Vector body of batch normalisation.
#include "core/simd/math.inl"
#include "core/simd/stream.inl"
#include "kernels/activation/derivative.inl"
#include "kernels/batch_norm/chunks.h"

namespace tvn::TVN_ISA {

namespace {

/** Where the sums of a tile are kept: in `storage` while a tile has several rows, else at once in the result. Zeroed. */
float* tile_sums(const Rows& rows, float* result, float* storage) {
  float* sums = tile_rows(rows) == 1 ? result : storage;
  std::memset(sums, 0, static_cast<size_t>(tile_size(rows)) * sizeof(float));
  return sums;
}

/** Folds the sums of a tile and leaves one value per channel in `result`. */
void finish_sums(const Rows& rows, float* sums, float* result) {
  fold(rows, sums);
  if (sums != result) std::memcpy(result, sums, static_cast<size_t>(rows.width) * sizeof(float));
}

/**
 * Sums about a pivot do not cancel as Σ x² − (Σ x)²/n does when the mean is large. The pivot is the mean of the chunk's first eighth:
 * rows that are a share f of the chunk cannot have a mean further than sqrt((1 − f)/f) standard deviations from the chunk's own,
 * so with f = 1/8 at most three of the variance's 24 bits are lost whatever the data.
 */
void chunk_moments(const Rows& rows, const float* x, const BatchNormMoments& result) {
  alignas(64) float pivot_storage[tile_capacity], sum_storage[tile_capacity], squares_storage[tile_capacity];
  float* sum = tile_sums(rows, result.sum, sum_storage);
  const Rows head{(rows.count + 7) / 8, rows.width, rows.stride};
  for_each_tile_vector<4>(head, [=](int64_t i, int64_t p, auto mask, auto tiles) {
    Vec s = load(sum + p, mask);
    for (int k = 0; k < tiles.count; k++) s = s + load(x + i + k * tiles.step, mask);
    store(sum + p, s, mask);
  });
  fold(head, sum);
  const Vec inverse = broadcast(1.0f / static_cast<float>(head.count));
  for_vectors(0, rows.width, [&](int64_t c, auto mask) { store(result.pivot + c, load(sum + c, mask) * inverse, mask); });

  const float* pivot = repeat(rows, result.pivot, pivot_storage);
  sum = tile_sums(rows, result.sum, sum_storage);
  float* squares = tile_sums(rows, result.squares, squares_storage);
  for_each_tile_vector<4>(rows, [=](int64_t i, int64_t p, auto mask, auto tiles) {
    const Vec about = load(pivot + p, mask);
    Vec s = load(sum + p, mask), q = load(squares + p, mask);
    for (int k = 0; k < tiles.count; k++) {
      const Vec d = load(x + i + k * tiles.step, mask) - about;
      s = s + d;
      q = fma(d, d, q);
    }
    store(sum + p, s, mask);
    store(squares + p, q, mask);
  });
  finish_sums(rows, sum, result.sum);
  finish_sums(rows, squares, result.squares);
}

/** The values per channel that the backward passes read, for a whole tile. */
struct TileCoefficients {
  const float *scale, *shift, *mean;
};

template <Function function>
void chunk_gradient_sums(const Rows& rows, const float* x, const float* dy, const TileCoefficients& k,
                         const BatchNormGradientSums& result) {
  alignas(64) float d_storage[tile_capacity], product_storage[tile_capacity];
  float *d_sum = tile_sums(rows, result.d, d_storage), *product_sum = tile_sums(rows, result.product, product_storage);
  for_each_tile_vector<4>(rows, [=](int64_t i, int64_t p, auto mask, auto tiles) {
    const Vec scale = load(k.scale + p, mask), shift = load(k.shift + p, mask), mean = load(k.mean + p, mask);
    Vec s = load(d_sum + p, mask), q = load(product_sum + p, mask);
    for (int t = 0; t < tiles.count; t++) {
      const Vec value = load(x + i + t * tiles.step, mask);
      Vec d = load(dy + i + t * tiles.step, mask);
      if constexpr (function != Function::none) d = d * derivative(function, fma(value, scale, shift));
      s = s + d;
      q = fma(d, value - mean, q);
    }
    store(d_sum + p, s, mask);
    store(product_sum + p, q, mask);
  });
  finish_sums(rows, d_sum, result.d);
  finish_sums(rows, product_sum, result.product);
}

}  // namespace

void batch_norm_statistics(int64_t rows, int64_t channels, const BatchNormStatisticsArgs& args, ThreadPool& pool) {
  const BatchNormChunks chunks = batch_norm_chunks(rows, channels);
  pool.run(chunks.count, [&](int64_t i, int) {
    const Rows chunk{smaller(chunks.rows, rows - i * chunks.rows), channels, channels};
    chunk_moments(chunk, args.x + i * chunks.rows * channels, batch_norm_moments(args.scratch, channels, i));
  });
  batch_norm_merge_moments(rows, channels, args);
}

void batch_norm_apply(int64_t rows, int64_t channels, const BatchNormApplyArgs& args, ThreadPool& pool) {
  alignas(64) float scale_storage[tile_capacity], shift_storage[tile_capacity];
  const Rows all{rows, channels, channels};
  const float *scale = repeat(all, args.scale, scale_storage), *shift = repeat(all, args.shift, shift_storage);
  with_function(args.function, [&](auto function) {
    split(rows, 16, channels, pool, [&](int64_t begin, int64_t end) {
      const float* x = args.x + begin * channels;
      float* y = args.y + begin * channels;
      for_each_tile_vector<1>({end - begin, channels, channels}, [=](int64_t i, int64_t p, auto mask, auto) {
        store(y + i, apply(function.value, fma(load(x + i, mask), load(scale + p, mask), load(shift + p, mask))), mask);
      });
    });
  });
}

void batch_norm_backward(int64_t rows, int64_t channels, const BatchNormBackwardArgs& args, ThreadPool& pool) {
  alignas(64) float scale_storage[tile_capacity], shift_storage[tile_capacity], mean_storage[tile_capacity];
  const Rows all{rows, channels, channels};
  const BatchNormChunks chunks = batch_norm_chunks(rows, channels);
  const BatchNormCoefficients coefficients = batch_norm_coefficients(args.scratch, rows, channels);
  batch_norm_fill_scale(rows, channels, args);
  const TileCoefficients k{repeat(all, coefficients.scale, scale_storage), repeat(all, coefficients.shift, shift_storage),
                           repeat(all, args.mean, mean_storage)};
  with_function(args.function, [&](auto function) {
    pool.run(chunks.count, [&](int64_t i, int) {
      const Rows chunk{smaller(chunks.rows, rows - i * chunks.rows), channels, channels};
      const int64_t at = i * chunks.rows * channels;
      chunk_gradient_sums<function.value>(chunk, args.x + at, args.dy + at, k, batch_norm_gradient_sums(args.scratch, channels, i));
    });
  });
  batch_norm_merge_gradients(rows, channels, args);
  if (!args.dx) return;

  alignas(64) float slope_storage[tile_capacity], offset_storage[tile_capacity];
  const float *slope = repeat(all, coefficients.slope, slope_storage), *offset = repeat(all, coefficients.offset, offset_storage);
  with_function(args.function, [&](auto function) {
    with_flag(args.accumulate, [&](auto accumulate) {
      split(rows, 16, 2 * channels, pool, [&](int64_t begin, int64_t end) {
        const float *x = args.x + begin * channels, *dy = args.dy + begin * channels;
        float* dx = args.dx + begin * channels;
        for_each_tile_vector<1>({end - begin, channels, channels}, [=](int64_t i, int64_t p, auto mask, auto) {
          const Vec value = load(x + i, mask), scale = load(k.scale + p, mask);
          Vec d = load(dy + i, mask);
          if constexpr (function.value != Function::none) d = d * derivative(function.value, fma(value, scale, load(k.shift + p, mask)));
          Vec result = fma(scale, d, fma(value - load(k.mean + p, mask), load(slope + p, mask), load(offset + p, mask)));
          if constexpr (accumulate.value) result = load(dx + i, mask) + result;
          store(dx + i, result, mask);
        });
      });
    });
  });
}

}  // namespace tvn::TVN_ISA
