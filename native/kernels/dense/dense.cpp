#include "kernels/dense/dense.h"

#include "kernels/dense/dense_reference.h"

namespace tvn {

namespace avx2 {
DenseForward dense_forward;
DenseBackward dense_backward;
}  // namespace avx2
namespace avx512 {
DenseForward dense_forward;
DenseBackward dense_backward;
}  // namespace avx512

namespace {

void forward_reference(const DenseShape& s, const DenseForwardArgs& a, ThreadPool&) { reference::dense_forward(s, a.x, a.w, a.b, a.y); }
void backward_reference(const DenseShape& s, const DenseBackwardArgs& a, ThreadPool&) {
  reference::dense_backward(s, a.x, a.w, a.dy, a.dx, a.dw, a.db);
}

constexpr Kernel<DenseForward> forward_kernels[] = {
    {"dense_forward_f32_avx512", Isa::avx512, avx512::dense_forward},
    {"dense_forward_f32_avx2", Isa::avx2, avx2::dense_forward},
    {"dense_forward_f32_reference", Isa::reference, forward_reference},
};
constexpr Kernel<DenseBackward> backward_kernels[] = {
    {"dense_backward_f32_avx512", Isa::avx512, avx512::dense_backward},
    {"dense_backward_f32_avx2", Isa::avx2, avx2::dense_backward},
    {"dense_backward_f32_reference", Isa::reference, backward_reference},
};

}  // namespace

std::span<const Kernel<DenseForward>> dense_forward_kernels() { return forward_kernels; }
std::span<const Kernel<DenseBackward>> dense_backward_kernels() { return backward_kernels; }

}  // namespace tvn
