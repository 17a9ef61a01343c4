// Reference kernel of dropout.
#pragma once

#include "kernels/dropout/random.h"

namespace tvn::reference {

template <class Real>
void dropout(int64_t size, const Real* x, Real rate, uint64_t seed, Real* y) {
  const DropoutRandom random(seed);
  const uint32_t threshold = dropout_threshold(static_cast<float>(rate));
  const Real scale = 1 / (1 - rate);
  for (int64_t i = 0; i < size; i++) y[i] = x[i] * (random(static_cast<uint32_t>(i)) < threshold ? Real(0) : scale);
}

}  // namespace tvn::reference
