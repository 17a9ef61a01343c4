// Reference kernel of the optimiser's update.
#pragma once

#include <cstdint>

namespace tvn::reference {

template <class Real>
void sgd(int64_t size, Real* w, Real* v, const Real* g, Real rate, Real momentum, Real weight_decay, bool nesterov) {
  for (int64_t i = 0; i < size; i++) {
    const Real d = g[i] + weight_decay * w[i];
    v[i] = momentum * v[i] + d;
    w[i] -= rate * (nesterov ? d + momentum * v[i] : v[i]);
  }
}

}  // namespace tvn::reference
