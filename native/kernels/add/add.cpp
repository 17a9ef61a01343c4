#include "kernels/add/add.h"

#include "kernels/add/add_reference.h"

namespace tvn {

namespace avx2 {
AddForward add_forward;
}
namespace avx512 {
AddForward add_forward;
}

namespace {

void forward_reference(int64_t size, const AddArgs& a, ThreadPool&) { reference::add_forward(size, a.a, a.b, a.function, a.y); }

constexpr Kernel<AddForward> forward_kernels[] = {
    {"add_forward_f32_avx512", Isa::avx512, avx512::add_forward},
    {"add_forward_f32_avx2", Isa::avx2, avx2::add_forward},
    {"add_forward_f32_reference", Isa::reference, forward_reference},
};

}  // namespace

std::span<const Kernel<AddForward>> add_forward_kernels() { return forward_kernels; }

}  // namespace tvn
