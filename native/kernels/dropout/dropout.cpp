#include "kernels/dropout/dropout.h"

#include "kernels/dropout/dropout_reference.h"

namespace tvn {

namespace avx2 {
Dropout dropout;
}
namespace avx512 {
Dropout dropout;
}

namespace {

void dropout_reference(int64_t size, const DropoutArgs& a, ThreadPool&) { reference::dropout(size, a.x, a.rate, a.seed, a.y); }

constexpr Kernel<Dropout> kernels[] = {
    {"dropout_apply_f32_avx512", Isa::avx512, avx512::dropout},
    {"dropout_apply_f32_avx2", Isa::avx2, avx2::dropout},
    {"dropout_apply_f32_reference", Isa::reference, dropout_reference},
};

}  // namespace

std::span<const Kernel<Dropout>> dropout_kernels() { return kernels; }

}  // namespace tvn
