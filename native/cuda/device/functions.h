// Activations and their derivatives. NaN stays NaN through every one of them: a diverged training must not look healthy.
#pragma once

#include "core/enums.h"
#include "cuda/device/platform.h"

namespace tvn::cuda {

__device__ __forceinline__ float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

/** relu(x) = max(x, 0); hswish(x) = x·min(max(x + 3, 0), 6)/6; sigmoid(x) = 1 / (1 + e^−x). */
__device__ __forceinline__ float apply(Function function, float x) {
  switch (function) {
    case Function::none: return x;
    case Function::relu: return x < 0 ? 0 : x;
    case Function::hswish: return x <= -3 ? 0 : x >= 3 ? x : x * (x + 3) * (1.0f / 6);
    case Function::sigmoid: return sigmoid(x);
  }
  return x;
}

/** f'(x). */
__device__ __forceinline__ float derivative(Function function, float x) {
  switch (function) {
    case Function::none: return 1;
    case Function::relu: return x > 0 ? 1 : x <= 0 ? 0 : x;
    case Function::hswish: return x <= -3 ? 0 : x >= 3 ? 1 : (2 * x + 3) * (1.0f / 6);
    case Function::sigmoid: {
      const float s = sigmoid(x);
      return s * (1 - s);
    }
  }
  return 1;
}

}  // namespace tvn::cuda
