#include "kernels/activation/activation.h"

#include "kernels/activation/activation_reference.h"

namespace tvn {

namespace avx2 {
ActivationForward activation_forward;
ActivationBackward activation_backward;
}  // namespace avx2
namespace avx512 {
ActivationForward activation_forward;
ActivationBackward activation_backward;
}  // namespace avx512

namespace {

void forward_reference(int64_t size, const ActivationForwardArgs& a, ThreadPool&) {
  reference::activation_forward(size, a.function, a.x, a.y);
}
void backward_reference(int64_t size, const ActivationBackwardArgs& a, ThreadPool&) {
  reference::activation_backward(size, a.function, a.x, a.y, a.dy, a.accumulate, a.dx);
}

constexpr Kernel<ActivationForward> forward_kernels[] = {
    {"activation_forward_f32_avx512", Isa::avx512, avx512::activation_forward},
    {"activation_forward_f32_avx2", Isa::avx2, avx2::activation_forward},
    {"activation_forward_f32_reference", Isa::reference, forward_reference},
};
constexpr Kernel<ActivationBackward> backward_kernels[] = {
    {"activation_backward_f32_avx512", Isa::avx512, avx512::activation_backward},
    {"activation_backward_f32_avx2", Isa::avx2, avx2::activation_backward},
    {"activation_backward_f32_reference", Isa::reference, backward_reference},
};

}  // namespace

std::span<const Kernel<ActivationForward>> activation_forward_kernels() { return forward_kernels; }
std::span<const Kernel<ActivationBackward>> activation_backward_kernels() { return backward_kernels; }

}  // namespace tvn
