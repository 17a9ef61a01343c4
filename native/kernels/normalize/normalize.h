// Bytes to floats: y = x / 127.5 − 1.
#pragma once

#include <cstdint>
#include <span>

#include "core/kernel_list.h"
#include "core/thread_pool.h"

namespace tvn {

struct NormalizeArgs {
  const uint8_t* x;
  float* y;
};

using Normalize = void(int64_t size, const NormalizeArgs&, ThreadPool&);

std::span<const Kernel<Normalize>> normalize_kernels();

}  // namespace tvn
