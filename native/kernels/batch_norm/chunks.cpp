#include "kernels/batch_norm/chunks.h"

#include <algorithm>
#include <cmath>

namespace tvn {

namespace {

constexpr int64_t sums_per_chunk = 3;  // moments; the gradient's sums are two

// Merging goes over the chunks for a block of channels at a time, whose f64 values stay on the stack.
constexpr int64_t block = 64;

}  // namespace

BatchNormChunks batch_norm_chunks(int64_t rows, int64_t channels) {
  constexpr int64_t least_size = 8192, most_chunks = 64;
  const int64_t wanted = std::clamp<int64_t>(rows * channels / least_size, 1, most_chunks);
  const int64_t chunk = (rows + wanted - 1) / wanted, aligned = (chunk + 15) / 16 * 16;  // 16 rows are whole vectors for any C
  return {(rows + aligned - 1) / aligned, aligned};
}

size_t batch_norm_scratch(int64_t rows, int64_t channels) {
  return static_cast<size_t>((batch_norm_chunks(rows, channels).count * sums_per_chunk + 4) * channels);
}

BatchNormMoments batch_norm_moments(float* scratch, int64_t channels, int64_t i) {
  float* at = scratch + i * sums_per_chunk * channels;
  return {at, at + channels, at + 2 * channels};
}

void batch_norm_merge_moments(int64_t rows, int64_t channels, const BatchNormStatisticsArgs& args) {
  const BatchNormChunks chunks = batch_norm_chunks(rows, channels);
  for (int64_t begin = 0; begin < channels; begin += block) {
    const int64_t width = std::min(block, channels - begin);
    double mean[block] = {}, centered[block] = {};
    double merged = 0;
    for (int64_t i = 0; i < chunks.count; i++) {
      const BatchNormMoments moments = batch_norm_moments(args.scratch, channels, i);
      const double count = static_cast<double>(std::min(chunks.rows, rows - i * chunks.rows));
      const double inverse = 1 / count, share = count / (merged + count), between = merged * share;
      for (int64_t c = 0; c < width; c++) {
        const double sum = moments.sum[begin + c], offset = sum * inverse;
        const double delta = moments.pivot[begin + c] + offset - mean[c];
        mean[c] += delta * share;
        centered[c] += moments.squares[begin + c] - sum * offset + delta * delta * between;
      }
      merged += count;
    }
    for (int64_t c = 0; c < width; c++) {
      const double variance = centered[c] / static_cast<double>(rows);
      args.mean[begin + c] = static_cast<float>(mean[c]);
      args.variance[begin + c] = variance < 0 ? 0.0f : static_cast<float>(variance);  // rounding must not make it negative; NaN stays
    }
  }
}

BatchNormGradientSums batch_norm_gradient_sums(float* scratch, int64_t channels, int64_t i) {
  float* at = scratch + i * sums_per_chunk * channels;
  return {at, at + channels};
}

BatchNormCoefficients batch_norm_coefficients(float* scratch, int64_t rows, int64_t channels) {
  float* at = scratch + batch_norm_chunks(rows, channels).count * sums_per_chunk * channels;
  return {at, at + channels, at + 2 * channels, at + 3 * channels};
}

void batch_norm_fill_scale(int64_t rows, int64_t channels, const BatchNormBackwardArgs& args) {
  const BatchNormCoefficients k = batch_norm_coefficients(args.scratch, rows, channels);
  for (int64_t c = 0; c < channels; c++) {
    k.scale[c] = args.gamma[c] / std::sqrt(args.variance[c] + args.epsilon);
    k.shift[c] = args.beta[c] - args.mean[c] * k.scale[c];
  }
}

void batch_norm_merge_gradients(int64_t rows, int64_t channels, const BatchNormBackwardArgs& args) {
  const BatchNormChunks chunks = batch_norm_chunks(rows, channels);
  const BatchNormCoefficients k = batch_norm_coefficients(args.scratch, rows, channels);
  for (int64_t begin = 0; begin < channels; begin += block) {
    const int64_t width = std::min(block, channels - begin);
    double d[block] = {}, product[block] = {};
    for (int64_t i = 0; i < chunks.count; i++) {
      const BatchNormGradientSums sums = batch_norm_gradient_sums(args.scratch, channels, i);
      for (int64_t c = 0; c < width; c++) {
        d[c] += sums.d[begin + c];
        product[c] += sums.product[begin + c];
      }
    }
    for (int64_t c = 0; c < width; c++) {
      const double rstd = 1 / std::sqrt(static_cast<double>(args.variance[begin + c]) + args.epsilon);
      const double gamma = product[c] * rstd, scale = args.gamma[begin + c] * rstd / static_cast<double>(rows);
      args.dgamma[begin + c] = static_cast<float>(gamma);
      args.dbeta[begin + c] = static_cast<float>(d[c]);
      k.slope[begin + c] = static_cast<float>(-scale * rstd * gamma);
      k.offset[begin + c] = static_cast<float>(-scale * d[c]);
    }
  }
}

}  // namespace tvn
