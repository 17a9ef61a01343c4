// The fixed chunks that sums over rows are split into, and the arithmetic per channel between the passes over the tensor.
#pragma once

#include <cstdint>

#include "kernels/batch_norm/batch_norm.h"

namespace tvn {

/** Rows are summed in chunks, each by one task; how many there are is a function of the shape alone. */
struct BatchNormChunks {
  int64_t count, rows;  // of one chunk; the last one may have fewer
};
BatchNormChunks batch_norm_chunks(int64_t rows, int64_t channels);

/** Sums of one chunk about a pivot near its mean: Σ (x − pivot), Σ (x − pivot)²; [C] each. */
struct BatchNormMoments {
  float *pivot, *sum, *squares;
};
/** Where chunk i leaves them in scratch. */
BatchNormMoments batch_norm_moments(float* scratch, int64_t channels, int64_t i);
/** Merges the chunks in order, in f64 (Chan, Golub and LeVeque, 1979), to mean and biased variance. */
void batch_norm_merge_moments(int64_t rows, int64_t channels, const BatchNormStatisticsArgs& args);

/** Sums of one chunk: Σ d, Σ d·(x − mean); [C] each. */
struct BatchNormGradientSums {
  float *d, *product;
};
BatchNormGradientSums batch_norm_gradient_sums(float* scratch, int64_t channels, int64_t i);

/** u = x·scale + shift; dx = scale·d + (x − mean)·slope + offset; [C] each, behind the chunks' sums in scratch. */
struct BatchNormCoefficients {
  float *scale, *shift, *slope, *offset;
};
BatchNormCoefficients batch_norm_coefficients(float* scratch, int64_t rows, int64_t channels);
/** Fills scale and shift, in the very arithmetic of the forward pass, so that relu's mask is the forward's. */
void batch_norm_fill_scale(int64_t rows, int64_t channels, const BatchNormBackwardArgs& args);
/** Adds the chunks' sums in order, in f64, to dgamma and dbeta, and fills slope and offset. */
void batch_norm_merge_gradients(int64_t rows, int64_t channels, const BatchNormBackwardArgs& args);

}  // namespace tvn
