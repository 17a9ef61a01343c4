// Reference kernel of add.
#pragma once

#include <cstdint>

#include "core/function.h"

namespace tvn::reference {

template <class Real>
void add_forward(int64_t size, const Real* a, const Real* b, Function function, Real* y) {
  for (int64_t i = 0; i < size; i++) y[i] = apply(function, a[i] + b[i]);
}

}  // namespace tvn::reference
