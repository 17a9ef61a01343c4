#include "kernels/gate/gate.h"

#include "kernels/gate/gate_reference.h"

namespace tvn {

namespace avx2 {
GateForward gate_forward;
GateBackward gate_backward;
}  // namespace avx2
namespace avx512 {
GateForward gate_forward;
GateBackward gate_backward;
}  // namespace avx512

namespace {

void forward_reference(const GateShape& s, const GateForwardArgs& a, ThreadPool&) { reference::gate_forward(s, a.x, a.z, a.y); }
void backward_reference(const GateShape& s, const GateBackwardArgs& a, ThreadPool&) {
  reference::gate_backward(s, a.x, a.z, a.dy, a.accumulate, a.dx, a.dz);
}

constexpr Kernel<GateForward> forward_kernels[] = {
    {"gate_forward_f32_avx512", Isa::avx512, avx512::gate_forward},
    {"gate_forward_f32_avx2", Isa::avx2, avx2::gate_forward},
    {"gate_forward_f32_reference", Isa::reference, forward_reference},
};
constexpr Kernel<GateBackward> backward_kernels[] = {
    {"gate_backward_f32_avx512", Isa::avx512, avx512::gate_backward},
    {"gate_backward_f32_avx2", Isa::avx2, avx2::gate_backward},
    {"gate_backward_f32_reference", Isa::reference, backward_reference},
};

}  // namespace

std::span<const Kernel<GateForward>> gate_forward_kernels() { return forward_kernels; }
std::span<const Kernel<GateBackward>> gate_backward_kernels() { return backward_kernels; }

}  // namespace tvn
