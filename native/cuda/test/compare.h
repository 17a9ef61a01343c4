// Comparisons beyond expect_close: bits between two runs, and gradients of a reference with finite differences.
#pragma once

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "core/enums.h"
#include "cuda/test/test.h"

namespace tvn::cuda::test {

/** Two runs of a kernel must have the same bits. */
template <class T>
void expect_same_bits(DeviceArray<T>& got, const std::vector<T>& want) {
  const std::vector<T> values = got.read();
  if (values.size() != want.size() || (!want.empty() && std::memcmp(values.data(), want.data(), want.size() * sizeof(T)) != 0))
    fail("two runs have different bits");
}

/**
 * Central differences of `loss`, a function without arguments that reads x, with steps of 10⁻⁶: |difference − gradient| must not exceed
 * 10⁻⁵ + 10⁻³·|gradient| in any element. Where f is not differentiable keep x away by more than a step.
 */
template <class Loss>
void expect_gradient(const char* name, std::vector<double>& x, const std::vector<double>& gradient, const Loss& loss) {
  constexpr double step = 1e-6;
  for (size_t i = 0; i < x.size(); i++) {
    const double kept = x[i];
    x[i] = kept + step;
    const double above = loss();
    x[i] = kept - step;
    const double below = loss();
    x[i] = kept;
    const double difference = (above - below) / (2 * step);
    if (std::fabs(difference - gradient[i]) <= 1e-5 + 1e-3 * std::fabs(gradient[i])) continue;
    fail(std::string(name) + "[" + std::to_string(i) + "]: gradient " + std::to_string(gradient[i]) + ", finite difference " +
         std::to_string(difference));
    return;
  }
}

/** Σ a·b: the loss whose gradient with respect to a is b. */
inline double dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); i++) sum += a[i] * b[i];
  return sum;
}

/** f(x) and f'(x) in f64. */
inline double reference(Function function, double x) {
  switch (function) {
    case Function::none: return x;
    case Function::relu: return x < 0 ? 0 : x;
    case Function::hswish: return x <= -3 ? 0 : x >= 3 ? x : x * (x + 3) / 6;
    case Function::sigmoid: return 1 / (1 + std::exp(-x));
  }
  return x;
}
inline double reference_derivative(Function function, double x) {
  switch (function) {
    case Function::none: return 1;
    case Function::relu: return x > 0;
    case Function::hswish: return x <= -3 ? 0 : x >= 3 ? 1 : (2 * x + 3) / 6;
    case Function::sigmoid: return reference(function, x) * (1 - reference(function, x));
  }
  return 1;
}
/** Whether f' jumps so near to x that one rounding of x decides: no gradient may be expected there. */
inline bool jumps_near(Function function, double x) {
  return function == Function::relu ? std::fabs(x) < 1e-4 : function == Function::hswish && std::fabs(std::fabs(x) - 3) < 1e-4;
}

}  // namespace tvn::cuda::test
