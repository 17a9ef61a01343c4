#include "kernels/depthwise/depthwise.h"

#include "kernels/depthwise/depthwise_chunks.h"
#include "kernels/depthwise/depthwise_reference.h"

namespace tvn {

namespace avx2 {
DepthwiseForward depthwise_forward;
DepthwiseDataGradient depthwise_data_gradient;
DepthwiseWeightGradient depthwise_weight_gradient;
}  // namespace avx2
namespace avx512 {
DepthwiseForward depthwise_forward;
DepthwiseDataGradient depthwise_data_gradient;
DepthwiseWeightGradient depthwise_weight_gradient;
}  // namespace avx512

namespace {

void forward_reference(const DepthwiseShape& s, const DepthwiseForwardArgs& a, ThreadPool&) {
  depthwise_forward_reference(s, a.x, a.w, a.bias, a.function, a.y);
}
void data_gradient_reference(const DepthwiseShape& s, const DepthwiseDataGradientArgs& a, ThreadPool&) {
  depthwise_data_gradient_reference(s, a.dy, a.w, a.accumulate, a.dx);
}
void weight_gradient_reference(const DepthwiseShape& s, const DepthwiseWeightGradientArgs& a, ThreadPool&) {
  depthwise_weight_gradient_reference(s, a.x, a.dy, a.dw, a.db);
}

/** Vectors of 16 lanes would be half empty: 8 lanes measured faster on 8 and 24 channels, in every pass. */
bool prefers_eight_lanes(const DepthwiseShape& s) { return s.x.c <= 24 && (s.x.c - 1) % 16 < 8; }

void forward_avx512(const DepthwiseShape& s, const DepthwiseForwardArgs& a, ThreadPool& pool) {
  (prefers_eight_lanes(s) ? avx2::depthwise_forward : avx512::depthwise_forward)(s, a, pool);
}
void data_gradient_avx512(const DepthwiseShape& s, const DepthwiseDataGradientArgs& a, ThreadPool& pool) {
  (prefers_eight_lanes(s) ? avx2::depthwise_data_gradient : avx512::depthwise_data_gradient)(s, a, pool);
}
void weight_gradient_avx512(const DepthwiseShape& s, const DepthwiseWeightGradientArgs& a, ThreadPool& pool) {
  (prefers_eight_lanes(s) ? avx2::depthwise_weight_gradient : avx512::depthwise_weight_gradient)(s, a, pool);
}

constexpr Kernel<DepthwiseForward> forward_list[] = {
    {"depthwise_forward_f32_avx512", Isa::avx512, forward_avx512},
    {"depthwise_forward_f32_avx2", Isa::avx2, avx2::depthwise_forward},
    {"depthwise_forward_f32_reference", Isa::reference, forward_reference},
};
constexpr Kernel<DepthwiseDataGradient> data_gradient_list[] = {
    {"depthwise_data_gradient_f32_avx512", Isa::avx512, data_gradient_avx512},
    {"depthwise_data_gradient_f32_avx2", Isa::avx2, avx2::depthwise_data_gradient},
    {"depthwise_data_gradient_f32_reference", Isa::reference, data_gradient_reference},
};
constexpr Kernel<DepthwiseWeightGradient> weight_gradient_list[] = {
    {"depthwise_weight_gradient_f32_avx512", Isa::avx512, weight_gradient_avx512},
    {"depthwise_weight_gradient_f32_avx2", Isa::avx2, avx2::depthwise_weight_gradient},
    {"depthwise_weight_gradient_f32_reference", Isa::reference, weight_gradient_reference},
};

}  // namespace

std::span<const Kernel<DepthwiseForward>> depthwise_forward_kernels() { return forward_list; }
std::span<const Kernel<DepthwiseDataGradient>> depthwise_data_gradient_kernels() { return data_gradient_list; }
std::span<const Kernel<DepthwiseWeightGradient>> depthwise_weight_gradient_kernels() { return weight_gradient_list; }

std::size_t depthwise_weight_gradient_scratch(const DepthwiseShape& s) {
  return static_cast<std::size_t>(depthwise_chunks(s) * (s.window.kh * s.window.kw + 1) * s.x.c);
}

}  // namespace tvn
