// The head's fully connected layer: y[r,k] = b[k] + Σ_c x[r,c]·w[c,k]. Bit-identical for any number of threads.
#pragma once

#include <cstdint>
#include <span>

#include "core/kernel_list.h"
#include "core/thread_pool.h"

namespace tvn {

struct DenseShape {
  int64_t rows, channels, outputs;
};

struct DenseForwardArgs {
  const float* x;  // [rows, C]
  const float* w;  // [C, K]
  const float* b;  // [K]
  float* y;        // [rows, K]
};

struct DenseBackwardArgs {
  const float* x;
  const float* w;
  const float* dy;
  float* dx;  // overwritten; may be null
  float* dw;
  float* db;
};

using DenseForward = void(const DenseShape&, const DenseForwardArgs&, ThreadPool&);
using DenseBackward = void(const DenseShape&, const DenseBackwardArgs&, ThreadPool&);

std::span<const Kernel<DenseForward>> dense_forward_kernels();
std::span<const Kernel<DenseBackward>> dense_backward_kernels();

}  // namespace tvn
