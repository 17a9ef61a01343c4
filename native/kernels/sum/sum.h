// Sums over one axis: x [outer, count, inner] → y [outer, inner], y = scale · Σ x.
//
// Parts of fixed length are summed apart and then together in a fixed tree: bit-identical for any number of threads, and roundings do not
// add up along a long axis.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/kernel_list.h"
#include "core/thread_pool.h"

namespace tvn {

struct SumShape {
  int64_t outer, count, inner;

  /** Positions that are summed apart, and how many such parts there are. */
  int64_t part() const { return inner == 1 ? 4096 : 256; }
  int64_t parts() const { return (count + part() - 1) / part(); }
};

struct SumArgs {
  const float* x;
  float scale;  // 1 / count for a mean
  float* y;
  float* scratch;  // sum_scratch floats
};

using SumKernel = void(const SumShape&, const SumArgs&, ThreadPool&);
std::span<const Kernel<SumKernel>> sum_kernels();

/** Independent of the number of threads. */
inline std::size_t sum_scratch(const SumShape& s) { return s.parts() > 1 ? static_cast<std::size_t>(s.outer * s.parts() * s.inner) : 0; }

}  // namespace tvn
