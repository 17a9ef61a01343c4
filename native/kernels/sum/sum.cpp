#include "kernels/sum/sum.h"

#include "kernels/sum/sum_reference.h"

namespace tvn {

namespace avx2 {
SumKernel sum;
}
namespace avx512 {
SumKernel sum;
}

namespace {

void sum_of_reference(const SumShape& s, const SumArgs& a, ThreadPool&) { reference::sum(s, a.x, a.scale, a.y); }

constexpr Kernel<SumKernel> list[] = {
    {"sum_f32_avx512", Isa::avx512, avx512::sum},
    {"sum_f32_avx2", Isa::avx2, avx2::sum},
    {"sum_f32_reference", Isa::reference, sum_of_reference},
};

}  // namespace

std::span<const Kernel<SumKernel>> sum_kernels() { return list; }

}  // namespace tvn
