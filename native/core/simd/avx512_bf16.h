// Vectors of 16 floats, as avx512.h, and of 32 bf16, in pairs. Include from *_avx512_bf16.cpp only, before the kernel body.
#pragma once

#define TVN_ISA avx512_bf16
#include "core/simd/avx512.h"

namespace tvn::avx512_bf16 {

/** The lanes of a, then those of b, rounded to the nearest bf16, ties to even: NaN stays NaN, denormals become 0. */
inline Vec to_bf16(Vec a, Vec b) { return {(__m512)_mm512_cvtne2ps_pbh(b.v, a.v)}; }
/** Two of them in one word, a in its lower half. */
inline float to_bf16(float a, float b) { return _mm_cvtss_f32((__m128)_mm_cvtneps_pbh(_mm_set_ps(0, 0, b, a))); }
/** sum + x₁·w₁ + x₀·w₀ for the pairs of bf16 in each lane of x and w; denormals count as 0. */
inline Vec add_products(Vec sum, Vec x, Vec w) { return {_mm512_dpbf16_ps(sum.v, (__m512bh)x.v, (__m512bh)w.v)}; }

}  // namespace tvn::avx512_bf16
