// Batch normalisation over the last axis, with the activation that follows it.
//
//   statistics:  mean[c] = Σ x / M,  variance[c] = Σ (x − mean)² / M (biased), M = rows
//   apply:       y = f(x·scale[c] + shift[c])
//   backward:    with x̂ = (x − mean)·rstd, u = γ·x̂ + β, d = dy·f'(u):
//                dbeta = Σ d,  dgamma = Σ d·x̂,  dx (+)= γ·rstd·(d − dbeta/M − x̂·dgamma/M)
//
// Tensors are [rows, C], f32. Sums over rows go through a fixed tree of chunks: bit-identical for any number of threads.
// The pre-activation u is recomputed from x, so the activation's input need not be stored.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/enums.h"
#include "core/kernel_list.h"
#include "core/thread_pool.h"

namespace tvn {

struct BatchNormStatisticsArgs {
  const float* x;
  float* mean;      // [C]
  float* variance;  // [C]
  float* scratch;   // batch_norm_scratch floats
};

struct BatchNormApplyArgs {
  const float* x;
  const float* scale;  // [C], γ·rstd
  const float* shift;  // [C], β − mean·γ·rstd
  Function function;
  float* y;  // may be x
};

struct BatchNormBackwardArgs {
  const float* x;
  const float* dy;
  const float* mean;      // [C], of this batch
  const float* variance;  // [C], of this batch, biased
  const float* gamma;
  const float* beta;
  float epsilon;
  Function function;
  float* dgamma;
  float* dbeta;
  bool accumulate;  // add to dx instead of overwriting it
  float* dx;        // may be dy; null where x needs no gradient
  float* scratch;
};

using BatchNormStatistics = void(int64_t rows, int64_t channels, const BatchNormStatisticsArgs&, ThreadPool&);
using BatchNormApply = void(int64_t rows, int64_t channels, const BatchNormApplyArgs&, ThreadPool&);
using BatchNormBackward = void(int64_t rows, int64_t channels, const BatchNormBackwardArgs&, ThreadPool&);

std::span<const Kernel<BatchNormStatistics>> batch_norm_statistics_kernels();
std::span<const Kernel<BatchNormApply>> batch_norm_apply_kernels();
std::span<const Kernel<BatchNormBackward>> batch_norm_backward_kernels();

/** Floats of scratch that statistics and backward of any kernel need; independent of the number of threads. */
std::size_t batch_norm_scratch(int64_t rows, int64_t channels);

}  // namespace tvn
