// Vector body of the activation kernels.
#include "core/simd/math.inl"
#include "core/simd/stream.inl"
#include "kernels/activation/activation.h"
#include "kernels/activation/derivative.inl"

namespace tvn::TVN_ISA {

void activation_forward(int64_t size, const ActivationForwardArgs& args, ThreadPool& pool) {
  with_function(args.function, [&](auto function) {
    split(size, pool, [&](int64_t begin, int64_t end) {
      const float* x = args.x + begin;
      float* y = args.y + begin;
      for_vectors(0, end - begin, [=](int64_t i, auto mask) { store(y + i, apply(function.value, load(x + i, mask)), mask); });
    });
  });
}

void activation_backward(int64_t size, const ActivationBackwardArgs& args, ThreadPool& pool) {
  with_function(args.function, [&](auto function) {
    with_flag(args.accumulate, [&](auto accumulate) {
      split(size, pool, [&](int64_t begin, int64_t end) {
        const float* source = (function.value == Function::hswish ? args.x : function.value == Function::none ? args.dy : args.y) + begin;
        const float* dy = args.dy + begin;
        float* dx = args.dx + begin;
        for_vectors(0, end - begin, [=](int64_t i, auto mask) {
          Vec d = load(dy + i, mask);
          if constexpr (function.value == Function::relu) d = d * relu_derivative(load(source + i, mask));
          if constexpr (function.value == Function::sigmoid) d = d * sigmoid_derivative(load(source + i, mask));
          if constexpr (function.value == Function::hswish) d = d * hswish_derivative(load(source + i, mask));
          if constexpr (accumulate.value) d = load(dx + i, mask) + d;
          store(dx + i, d, mask);
        });
      });
    });
  });
}

}  // namespace tvn::TVN_ISA
