// Vectors of 16 floats. Include from *_avx512.cpp only, before the kernel body (*.inl), which then compiles in namespace
// tvn::avx512. The sibling avx2.h has the same names, so one body serves both. avx512_bf16.h has all of this in a namespace of its own.
#pragma once

#include <immintrin.h>

#include <cstdint>

#ifndef TVN_ISA
#define TVN_ISA avx512
#endif

namespace tvn::TVN_ISA {

constexpr int lanes = 16;
constexpr int registers = 32;

/** Which lanes of a load or store are touched. */
struct Mask {
  __mmask16 m;
};
/** The first n lanes; all for n >= lanes, none for n <= 0. */
inline Mask first(int64_t n) { return {n >= lanes ? __mmask16(0xffff) : n <= 0 ? __mmask16(0) : __mmask16((1u << n) - 1)}; }

struct Vec {
  __m512 v;
};
inline Vec zero() { return {_mm512_setzero_ps()}; }
inline Vec broadcast(float x) { return {_mm512_set1_ps(x)}; }
inline Vec load(const float* p) { return {_mm512_loadu_ps(p)}; }
inline Vec load(const float* p, Mask m) { return {_mm512_maskz_loadu_ps(m.m, p)}; }  // other lanes 0, memory not touched
/** Bytes as numbers; other lanes 0, memory not touched. */
inline Vec load_bytes(const uint8_t* p) {
  return {_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))))};
}
inline Vec load_bytes(const uint8_t* p, Mask m) { return {_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(m.m, p)))}; }
inline void store(float* p, Vec a) { _mm512_storeu_ps(p, a.v); }
inline void store(float* p, Vec a, Mask m) { _mm512_mask_storeu_ps(p, m.m, a.v); }
inline Vec operator+(Vec a, Vec b) { return {_mm512_add_ps(a.v, b.v)}; }
inline Vec operator-(Vec a, Vec b) { return {_mm512_sub_ps(a.v, b.v)}; }
inline Vec operator*(Vec a, Vec b) { return {_mm512_mul_ps(a.v, b.v)}; }
inline Vec operator/(Vec a, Vec b) { return {_mm512_div_ps(a.v, b.v)}; }
inline Vec sqrt(Vec a) { return {_mm512_sqrt_ps(a.v)}; }
inline Vec absolute(Vec a) { return {_mm512_abs_ps(a.v)}; }
inline Vec negate(Vec a) { return {_mm512_xor_ps(a.v, _mm512_set1_ps(-0.0f))}; }
inline Vec fma(Vec a, Vec b, Vec c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }    // a·b + c
inline Vec fnma(Vec a, Vec b, Vec c) { return {_mm512_fnmadd_ps(a.v, b.v, c.v)}; }  // c − a·b
/** As x86 max/min: the second operand when either is NaN. */
inline Vec max(Vec a, Vec b) { return {_mm512_max_ps(a.v, b.v)}; }
inline Vec min(Vec a, Vec b) { return {_mm512_min_ps(a.v, b.v)}; }
struct Compare {
  __mmask16 m;
};
inline Compare greater(Vec a, Vec b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_GT_OQ)}; }
inline Compare is_nan(Vec a) { return {_mm512_cmp_ps_mask(a.v, a.v, _CMP_UNORD_Q)}; }
inline Vec select(Compare c, Vec yes, Vec no) { return {_mm512_mask_blend_ps(c.m, no.v, yes.v)}; }
inline Vec round_nearest(Vec a) { return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }
/** a · 2^n for whole n. */
inline Vec scale_exponent(Vec a, Vec n) { return {_mm512_scalef_ps(a.v, n.v)}; }
/** p[0] in the even lanes, p[1] in the odd ones. */
inline Vec broadcast_pair(const float* p) {
  return {_mm512_castsi512_ps(_mm512_broadcastq_epi64(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))))};
}
/** The even lanes of a and the odd ones of b. */
inline Vec alternate(Vec a, Vec b) { return {_mm512_mask_blend_ps(0xaaaa, a.v, b.v)}; }
/** The sums of neighbouring lanes: 0 and 1, 2 and 3, … of a, then of b. */
inline Vec sum_pairs(Vec a, Vec b) {
  const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  const __m512i odd = _mm512_or_si512(even, _mm512_set1_epi32(1));
  return {_mm512_add_ps(_mm512_permutex2var_ps(a.v, even, b.v), _mm512_permutex2var_ps(a.v, odd, b.v))};
}
/** Sum of all lanes, in a fixed order. */
inline float sum(Vec a) {
  const __m256 half = _mm256_add_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  const __m128 quarter = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
  const __m128 pair = _mm_add_ps(quarter, _mm_movehl_ps(quarter, quarter));
  return _mm_cvtss_f32(_mm_add_ss(pair, _mm_movehdup_ps(pair)));
}

}  // namespace tvn::TVN_ISA
