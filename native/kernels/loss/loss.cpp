#include "kernels/loss/loss.h"

#include "kernels/loss/loss_reference.h"

namespace tvn {

namespace {

double softmax_reference(int64_t n, int64_t classes, const LossArgs& a) {
  return reference::softmax_cross_entropy(n, classes, a.logits, a.labels, a.smoothing, a.dlogits);
}
double sigmoid_reference(int64_t n, int64_t classes, const LossArgs& a) {
  return reference::sigmoid_cross_entropy(n, classes, a.logits, a.labels, a.smoothing, a.dlogits);
}

constexpr Kernel<Loss> softmax_kernels[] = {{"softmax_cross_entropy_f32_reference", Isa::reference, softmax_reference}};
constexpr Kernel<Loss> sigmoid_kernels[] = {{"sigmoid_cross_entropy_f32_reference", Isa::reference, sigmoid_reference}};

}  // namespace

std::span<const Kernel<Loss>> softmax_cross_entropy_kernels() { return softmax_kernels; }
std::span<const Kernel<Loss>> sigmoid_cross_entropy_kernels() { return sigmoid_kernels; }

}  // namespace tvn
