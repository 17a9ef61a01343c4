#include "core/simd/avx2.h"
//
#include "core/simd/words_f32.inl"
//
#include "runtime/peak.inl"

namespace tvn {

double fma_rounds_avx2(int64_t steps) { return avx2::fma_rounds(steps); }

}  // namespace tvn
