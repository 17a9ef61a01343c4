#include "core/simd/avx512_bf16.h"
//
#include "core/simd/words_bf16.inl"
//
#include "runtime/peak.inl"

namespace tvn {

double fma_rounds_avx512_bf16(int64_t steps) { return avx512_bf16::fma_rounds(steps); }

}  // namespace tvn
