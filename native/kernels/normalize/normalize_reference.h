// The bytes of clips as numbers from −1 to 1.
#pragma once

#include <cstdint>

namespace tvn {

template <class Real>
void normalize_reference(int64_t size, const uint8_t* x, Real* y) {
  for (int64_t i = 0; i < size; i++) y[i] = static_cast<Real>(x[i]) / Real(127.5) - 1;
}

}  // namespace tvn
