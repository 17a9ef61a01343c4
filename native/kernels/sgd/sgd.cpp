#include "kernels/sgd/sgd.h"

#include "kernels/sgd/sgd_reference.h"

namespace tvn {

namespace avx2 {
Sgd sgd;
}
namespace avx512 {
Sgd sgd;
}

namespace {

void sgd_reference(int64_t size, const SgdArgs& a, ThreadPool&) {
  reference::sgd(size, a.w, a.v, a.g, a.rate, a.momentum, a.weight_decay, a.nesterov);
}

constexpr Kernel<Sgd> kernels[] = {
    {"sgd_update_f32_avx512", Isa::avx512, avx512::sgd},
    {"sgd_update_f32_avx2", Isa::avx2, avx2::sgd},
    {"sgd_update_f32_reference", Isa::reference, sgd_reference},
};

}  // namespace

std::span<const Kernel<Sgd>> sgd_kernels() { return kernels; }

}  // namespace tvn
