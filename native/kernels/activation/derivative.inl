// Derivatives of the activation functions over Vec. Include after core/simd/math.inl; NaN for NaN.
#pragma once

namespace tvn::TVN_ISA {

/** From y = relu(x): 1 where y > 0, else y itself, which is 0 or NaN. */
inline Vec relu_derivative(Vec y) { return select(greater(y, zero()), broadcast(1.0f), y); }
/** From y = sigmoid(x). */
inline Vec sigmoid_derivative(Vec y) { return y * (broadcast(1.0f) - y); }
/** From x: r/6 + (0 < r < 6 ? x/6 : 0) with r = relu6(x + 3). */
inline Vec hswish_derivative(Vec x) {
  const Vec sixth = broadcast(1.0f / 6.0f), six = broadcast(6.0f);
  const Vec relu6 = min(six, max(zero(), x + broadcast(3.0f)));
  const Vec ramp = select(greater(relu6, zero()), select(greater(six, relu6), x, zero()), zero());
  return (relu6 + ramp) * sixth;
}

/** f'(x). */
inline Vec derivative(Function function, Vec x) {
  switch (function) {
    case Function::relu: return relu_derivative(relu(x));
    case Function::hswish: return hswish_derivative(x);
    case Function::sigmoid: return sigmoid_derivative(sigmoid(x));
    case Function::none: break;
  }
  return broadcast(1.0f);
}

}  // namespace tvn::TVN_ISA
