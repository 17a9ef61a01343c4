#include "kernels/mean/mean.h"

#include "kernels/mean/mean_reference.h"

namespace tvn {

namespace avx2 {
MeanForward mean_forward;
MeanBackward mean_backward;
}  // namespace avx2
namespace avx512 {
MeanForward mean_forward;
MeanBackward mean_backward;
}  // namespace avx512

namespace {

void forward_reference(const MeanShape& s, const MeanForwardArgs& a, ThreadPool&) { reference::mean_forward(s, a.x, a.y); }
void backward_reference(const MeanShape& s, const MeanBackwardArgs& a, ThreadPool&) {
  reference::mean_backward(s, a.dy, a.accumulate, a.dx);
}

constexpr Kernel<MeanForward> forward_kernels[] = {
    {"mean_forward_f32_avx512", Isa::avx512, avx512::mean_forward},
    {"mean_forward_f32_avx2", Isa::avx2, avx2::mean_forward},
    {"mean_forward_f32_reference", Isa::reference, forward_reference},
};
constexpr Kernel<MeanBackward> backward_kernels[] = {
    {"mean_backward_f32_avx512", Isa::avx512, avx512::mean_backward},
    {"mean_backward_f32_avx2", Isa::avx2, avx2::mean_backward},
    {"mean_backward_f32_reference", Isa::reference, backward_reference},
};

}  // namespace

std::span<const Kernel<MeanForward>> mean_forward_kernels() { return forward_kernels; }
std::span<const Kernel<MeanBackward>> mean_backward_kernels() { return backward_kernels; }

}  // namespace tvn
