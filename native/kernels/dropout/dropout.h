// y = x·m / (1 − rate), m[i] = 1 with probability 1 − rate, drawn from a counter-based generator keyed by (seed, i):
// the same mask forward and backward, for any number of threads. rate in [0, 1).
#pragma once

#include <cstdint>
#include <span>

#include "core/kernel_list.h"
#include "core/thread_pool.h"

namespace tvn {

struct DropoutArgs {
  const float* x;  // or dy: the gradient is the same product
  float rate;
  uint64_t seed;
  float* y;  // or dx; may be x
};

using Dropout = void(int64_t size, const DropoutArgs&, ThreadPool&);

std::span<const Kernel<Dropout>> dropout_kernels();

}  // namespace tvn
