#include "kernels/temporal_softmax/temporal_softmax.h"

#include "kernels/temporal_softmax/temporal_softmax_reference.h"

namespace tvn {

namespace {

void forward_reference(const TemporalSoftmaxShape& s, const TemporalSoftmaxForwardArgs& a, ThreadPool&) {
  reference::temporal_softmax_forward(s, a.x, a.y);
}
void backward_reference(const TemporalSoftmaxShape& s, const TemporalSoftmaxBackwardArgs& a, ThreadPool&) {
  reference::temporal_softmax_backward(s, a.x, a.dy, a.dx);
}

constexpr Kernel<TemporalSoftmaxForward> forward_kernels[] = {
    {"temporal_softmax_forward_f32_reference", Isa::reference, forward_reference},
};
constexpr Kernel<TemporalSoftmaxBackward> backward_kernels[] = {
    {"temporal_softmax_backward_f32_reference", Isa::reference, backward_reference},
};

}  // namespace

std::span<const Kernel<TemporalSoftmaxForward>> temporal_softmax_forward_kernels() { return forward_kernels; }
std::span<const Kernel<TemporalSoftmaxBackward>> temporal_softmax_backward_kernels() { return backward_kernels; }

}  // namespace tvn
