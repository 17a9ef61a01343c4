// Reference kernel of sum.
#pragma once

#include "kernels/sum/sum.h"

namespace tvn::reference {

template <class Real>
void sum(const SumShape& s, const Real* x, Real scale, Real* y) {
  for (int64_t o = 0; o < s.outer; o++)
    for (int64_t i = 0; i < s.inner; i++) {
      Real total = 0;
      for (int64_t k = 0; k < s.count; k++) total += x[(o * s.count + k) * s.inner + i];
      y[o * s.inner + i] = scale * total;
    }
}

}  // namespace tvn::reference
