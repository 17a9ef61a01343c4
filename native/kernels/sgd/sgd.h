// Stochastic gradient descent with (Nesterov) momentum, fused per tensor:
//
//   d = g + weight_decay·w,  v = momentum·v + d,  w −= rate·(nesterov ? d + momentum·v : v)
#pragma once

#include <cstdint>
#include <span>

#include "core/kernel_list.h"
#include "core/thread_pool.h"

namespace tvn {

struct SgdArgs {
  float* w;
  float* v;
  const float* g;
  float rate, momentum, weight_decay;
  bool nesterov;
};

using Sgd = void(int64_t size, const SgdArgs&, ThreadPool&);

std::span<const Kernel<Sgd>> sgd_kernels();

}  // namespace tvn
