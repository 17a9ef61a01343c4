#include "kernels/normalize/normalize.h"

#include "kernels/normalize/normalize_reference.h"

namespace tvn {

namespace avx2 {
Normalize normalize;
}
namespace avx512 {
Normalize normalize;
}

namespace {

void reference(int64_t size, const NormalizeArgs& a, ThreadPool&) { normalize_reference(size, a.x, a.y); }

constexpr Kernel<Normalize> list[] = {
    {"normalize_u8f32_avx512", Isa::avx512, avx512::normalize},
    {"normalize_u8f32_avx2", Isa::avx2, avx2::normalize},
    {"normalize_u8f32_reference", Isa::reference, reference},
};

}  // namespace

std::span<const Kernel<Normalize>> normalize_kernels() { return list; }

}  // namespace tvn
