#include "core/simd/avx512.h"
//
#include "core/simd/words_f32.inl"
//
#include "runtime/peak.inl"

namespace tvn {

double fma_rounds_avx512(int64_t steps) { return avx512::fma_rounds(steps); }

}  // namespace tvn
