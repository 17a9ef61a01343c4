// Gradients against finite differences of the f64 reference.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <span>

namespace tvn::test {

/**
 * Central differences of `loss`, a function without arguments that reads x, with steps of 1e-6: |difference − gradient| must not exceed
 * 1e-5 + 1e-3·|gradient| in any element. Where f is not differentiable (relu at 0, ties of a maximum) keep x away by more than a step.
 */
template <class Loss>
void expect_gradient(const char* name, std::span<double> x, std::span<const double> gradient, const Loss& loss) {
  constexpr double step = 1e-6, absolute = 1e-5, relative = 1e-3;
  ASSERT_EQ(x.size(), gradient.size()) << name;
  for (size_t i = 0; i < x.size(); i++) {
    const double kept = x[i];
    x[i] = kept + step;
    const double above = loss();
    x[i] = kept - step;
    const double below = loss();
    x[i] = kept;
    const double difference = (above - below) / (2 * step);
    if (std::fabs(difference - gradient[i]) <= absolute + relative * std::fabs(gradient[i])) continue;
    ADD_FAILURE() << name << "[" << i << "] of " << x.size() << ": gradient " << gradient[i] << ", finite difference " << difference;
    return;
  }
}

/** Σ a·b: the loss whose gradient with respect to a is b. */
inline double dot(std::span<const double> a, std::span<const double> b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); i++) sum += a[i] * b[i];
  return sum;
}

/** Moves values out of (corner − margin, corner + margin), where a function has its corner. */
inline void avoid_corner(std::span<double> x, double corner, double margin = 1e-3) {
  for (double& value : x)
    if (std::fabs(value - corner) < margin) value = value < corner ? corner - margin : corner + margin;
}

}  // namespace tvn::test
