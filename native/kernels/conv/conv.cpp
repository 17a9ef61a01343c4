#include "kernels/conv/conv.h"

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "kernels/conv/conv_reference.h"

namespace tvn {

namespace avx2 {
extern const ConvSumKernel conv_sum, conv_sum_strassen;
extern const ConvKernel<ConvForwardArgs> conv_forward, conv_forward_strassen, conv_forward_winograd4, conv_forward_winograd5;
extern const ConvKernel<ConvDataGradientArgs> conv_data_gradient, conv_data_gradient_strassen, conv_data_gradient_winograd4,
    conv_data_gradient_winograd5;
extern const ConvKernel<ConvWeightGradientArgs> conv_weight_gradient;
}  // namespace avx2
namespace avx512 {
extern const ConvSumKernel conv_sum, conv_sum_strassen;
extern const ConvKernel<ConvForwardArgs> conv_forward, conv_forward_strassen, conv_forward_winograd4, conv_forward_winograd5;
extern const ConvKernel<ConvDataGradientArgs> conv_data_gradient, conv_data_gradient_strassen, conv_data_gradient_winograd4,
    conv_data_gradient_winograd5;
extern const ConvKernel<ConvWeightGradientArgs> conv_weight_gradient;
}  // namespace avx512
namespace avx512_bf16 {
extern const ConvSumKernel conv_sum, conv_sum_strassen;
extern const ConvKernel<ConvForwardArgs> conv_forward, conv_forward_strassen;
}  // namespace avx512_bf16

namespace {

std::size_t weights(const ConvShape& s) { return static_cast<std::size_t>(s.window.taps() * s.x.c * s.y.c); }
std::size_t nothing(const ConvShape&) { return 0; }
std::size_t no_scratch(const ConvShape&, int) { return 0; }
void copy_weights(const ConvShape& s, const float* w, float* packed, ThreadPool&) { std::copy_n(w, weights(s), packed); }

void forward_reference(const ConvShape& s, const ConvForwardArgs& a, ThreadPool&) {
  conv_forward_reference(s, a.x, a.packed, a.bias, a.residual, a.function, a.y, a.scale);
}
void data_gradient_reference(const ConvShape& s, const ConvDataGradientArgs& a, ThreadPool&) {
  conv_data_gradient_reference(s, a.dy, a.packed, a.accumulate, a.dx);
}
void weight_gradient_reference(const ConvShape& s, const ConvWeightGradientArgs& a, ThreadPool&) {
  conv_weight_gradient_reference(s, a.x, a.dy, a.dw, a.db);
}

void sum_reference(const ConvSumShape& s, const ConvSumArgs& a, ThreadPool&) {
  conv_sum_reference(s, a.x, a.packed, a.bias, a.scale, a.shortcut_x, a.shortcut_packed, a.shortcut_bias, a.function, a.y);
}
std::size_t no_sum_scratch(const ConvSumShape&, int) { return 0; }

}  // namespace

bool direct_only() {
  const char* algorithm = std::getenv("TVN_CONVOLUTION");
  return algorithm && std::string_view(algorithm) == "direct";
}

std::span<const ConvSumKernel> conv_sum_kernels() {
  static const ConvSumKernel list[] = {
      avx512_bf16::conv_sum_strassen,  // the first two for bf16 alone
      avx512_bf16::conv_sum,
      avx512::conv_sum_strassen,
      avx512::conv_sum,
      avx2::conv_sum_strassen,
      avx2::conv_sum,
      {"conv_sum_f32_reference", Isa::reference, weights, copy_weights, no_sum_scratch, sum_reference},
  };
  return list;
}

std::span<const ConvKernel<ConvForwardArgs>> conv_forward_kernels() {
  static const ConvKernel<ConvForwardArgs> list[] = {
      avx512::conv_forward_winograd5,
      avx512::conv_forward_winograd4,
      avx512_bf16::conv_forward_strassen,
      avx512_bf16::conv_forward,
      avx512::conv_forward_strassen,
      avx512::conv_forward,
      avx2::conv_forward_winograd5,
      avx2::conv_forward_winograd4,
      avx2::conv_forward_strassen,
      avx2::conv_forward,
      {"conv_forward_f32_reference", Isa::reference, weights, copy_weights, no_scratch, forward_reference},
  };
  return list;
}

std::span<const ConvKernel<ConvDataGradientArgs>> conv_data_gradient_kernels() {
  static const ConvKernel<ConvDataGradientArgs> list[] = {
      avx512::conv_data_gradient_winograd5,
      avx512::conv_data_gradient_winograd4,
      avx512::conv_data_gradient_strassen,
      avx512::conv_data_gradient,
      avx2::conv_data_gradient_winograd5,
      avx2::conv_data_gradient_winograd4,
      avx2::conv_data_gradient_strassen,
      avx2::conv_data_gradient,
      {"conv_data_gradient_f32_reference", Isa::reference, weights, copy_weights, no_scratch, data_gradient_reference},
  };
  return list;
}

std::span<const ConvKernel<ConvWeightGradientArgs>> conv_weight_gradient_kernels() {
  static const ConvKernel<ConvWeightGradientArgs> list[] = {
      avx512::conv_weight_gradient,
      avx2::conv_weight_gradient,
      {"conv_weight_gradient_f32_reference", Isa::reference, nothing, nullptr, no_scratch, weight_gradient_reference},
  };
  return list;
}

}  // namespace tvn
