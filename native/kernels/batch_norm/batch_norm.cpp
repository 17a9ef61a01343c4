#include "kernels/batch_norm/batch_norm.h"

#include "kernels/batch_norm/batch_norm_reference.h"

namespace tvn {

namespace avx2 {
BatchNormStatistics batch_norm_statistics;
BatchNormApply batch_norm_apply;
BatchNormBackward batch_norm_backward;
}  // namespace avx2
namespace avx512 {
BatchNormStatistics batch_norm_statistics;
BatchNormApply batch_norm_apply;
BatchNormBackward batch_norm_backward;
}  // namespace avx512

namespace {

void statistics_reference(int64_t rows, int64_t channels, const BatchNormStatisticsArgs& a, ThreadPool&) {
  reference::batch_norm_statistics(rows, channels, a.x, a.mean, a.variance);
}
void apply_reference(int64_t rows, int64_t channels, const BatchNormApplyArgs& a, ThreadPool&) {
  reference::batch_norm_apply(rows, channels, a.x, a.scale, a.shift, a.function, a.y);
}
void backward_reference(int64_t rows, int64_t channels, const BatchNormBackwardArgs& a, ThreadPool&) {
  reference::batch_norm_backward(rows, channels, a.x, a.dy, a.mean, a.variance, a.gamma, a.beta, a.epsilon, a.function, a.dgamma, a.dbeta,
                                 a.accumulate, a.dx);
}

constexpr Kernel<BatchNormStatistics> statistics_kernels[] = {
    {"batch_norm_statistics_f32_avx512", Isa::avx512, avx512::batch_norm_statistics},
    {"batch_norm_statistics_f32_avx2", Isa::avx2, avx2::batch_norm_statistics},
    {"batch_norm_statistics_f32_reference", Isa::reference, statistics_reference},
};
constexpr Kernel<BatchNormApply> apply_kernels[] = {
    {"batch_norm_apply_f32_avx512", Isa::avx512, avx512::batch_norm_apply},
    {"batch_norm_apply_f32_avx2", Isa::avx2, avx2::batch_norm_apply},
    {"batch_norm_apply_f32_reference", Isa::reference, apply_reference},
};
constexpr Kernel<BatchNormBackward> backward_kernels[] = {
    {"batch_norm_backward_f32_avx512", Isa::avx512, avx512::batch_norm_backward},
    {"batch_norm_backward_f32_avx2", Isa::avx2, avx2::batch_norm_backward},
    {"batch_norm_backward_f32_reference", Isa::reference, backward_reference},
};

}  // namespace

std::span<const Kernel<BatchNormStatistics>> batch_norm_statistics_kernels() { return statistics_kernels; }
std::span<const Kernel<BatchNormApply>> batch_norm_apply_kernels() { return apply_kernels; }
std::span<const Kernel<BatchNormBackward>> batch_norm_backward_kernels() { return backward_kernels; }

}  // namespace tvn
