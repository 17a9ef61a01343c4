// y = f(a + b), elementwise. Its gradient is the activation's, to both inputs; where gradients meet, they are added with this op.
#pragma once

#include <cstdint>
#include <span>

#include "core/enums.h"
#include "core/kernel_list.h"
#include "core/thread_pool.h"

namespace tvn {

struct AddArgs {
  const float* a;
  const float* b;
  Function function;
  float* y;  // may be a or b
};

using AddForward = void(int64_t size, const AddArgs&, ThreadPool&);

std::span<const Kernel<AddForward>> add_forward_kernels();

}  // namespace tvn
