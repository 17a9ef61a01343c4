// Vectors of 8 floats (AVX2 + FMA). Include from *_avx2.cpp only, before the kernel body (*.inl), which then compiles in namespace
// tvn::avx2. The sibling avx512.h has the same names, so one body serves both.
#pragma once

#include <immintrin.h>

#include <cstdint>

#define TVN_ISA avx2

namespace tvn::avx2 {

constexpr int lanes = 8;
constexpr int registers = 16;

/** Which lanes of a load or store are touched. */
struct Mask {
  __m256i m;
};
/** The first n lanes; all for n >= lanes, none for n <= 0. */
inline Mask first(int64_t n) {
  const int count = n >= lanes ? lanes : n <= 0 ? 0 : static_cast<int>(n);
  return {_mm256_cmpgt_epi32(_mm256_set1_epi32(count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7))};
}

struct Vec {
  __m256 v;
};
inline Vec zero() { return {_mm256_setzero_ps()}; }
inline Vec broadcast(float x) { return {_mm256_set1_ps(x)}; }
inline Vec load(const float* p) { return {_mm256_loadu_ps(p)}; }
inline Vec load(const float* p, Mask m) { return {_mm256_maskload_ps(p, m.m)}; }  // other lanes 0, memory not touched
/** Bytes as numbers; other lanes 0, memory not touched. */
inline Vec load_bytes(const uint8_t* p) {
  return {_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))))};
}
inline Vec load_bytes(const uint8_t* p, Mask m) {
  alignas(8) uint8_t bytes[lanes] = {};
  for (int i = 0, some = _mm256_movemask_ps(_mm256_castsi256_ps(m.m)); i < lanes; i++)
    if (some >> i & 1) bytes[i] = p[i];
  return load_bytes(bytes);
}
inline void store(float* p, Vec a) { _mm256_storeu_ps(p, a.v); }
inline void store(float* p, Vec a, Mask m) { _mm256_maskstore_ps(p, m.m, a.v); }
inline Vec operator+(Vec a, Vec b) { return {_mm256_add_ps(a.v, b.v)}; }
inline Vec operator-(Vec a, Vec b) { return {_mm256_sub_ps(a.v, b.v)}; }
inline Vec operator*(Vec a, Vec b) { return {_mm256_mul_ps(a.v, b.v)}; }
inline Vec operator/(Vec a, Vec b) { return {_mm256_div_ps(a.v, b.v)}; }
inline Vec sqrt(Vec a) { return {_mm256_sqrt_ps(a.v)}; }
inline Vec absolute(Vec a) { return {_mm256_andnot_ps(_mm256_set1_ps(-0.0f), a.v)}; }
inline Vec negate(Vec a) { return {_mm256_xor_ps(a.v, _mm256_set1_ps(-0.0f))}; }
inline Vec fma(Vec a, Vec b, Vec c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }    // a·b + c
inline Vec fnma(Vec a, Vec b, Vec c) { return {_mm256_fnmadd_ps(a.v, b.v, c.v)}; }  // c − a·b
/** As x86 max/min: the second operand when either is NaN. */
inline Vec max(Vec a, Vec b) { return {_mm256_max_ps(a.v, b.v)}; }
inline Vec min(Vec a, Vec b) { return {_mm256_min_ps(a.v, b.v)}; }
struct Compare {
  __m256 m;
};
inline Compare greater(Vec a, Vec b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_GT_OQ)}; }
inline Compare is_nan(Vec a) { return {_mm256_cmp_ps(a.v, a.v, _CMP_UNORD_Q)}; }
inline Vec select(Compare c, Vec yes, Vec no) { return {_mm256_blendv_ps(no.v, yes.v, c.m)}; }
inline Vec round_nearest(Vec a) { return {_mm256_round_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }
/** a · 2^n for whole n in [−252, 254]: in two steps, because 2^n itself may not be a normal number. */
inline Vec scale_exponent(Vec a, Vec n) {
  const __m256i whole = _mm256_cvtps_epi32(n.v), half = _mm256_srai_epi32(whole, 1);
  const auto power = [](__m256i e) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(e, _mm256_set1_epi32(127)), 23)); };
  return {_mm256_mul_ps(_mm256_mul_ps(a.v, power(half)), power(_mm256_sub_epi32(whole, half)))};
}
/** p[0] in the even lanes, p[1] in the odd ones. */
inline Vec broadcast_pair(const float* p) {
  return {_mm256_castsi256_ps(_mm256_broadcastq_epi64(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))))};
}
/** The even lanes of a and the odd ones of b. */
inline Vec alternate(Vec a, Vec b) { return {_mm256_blend_ps(a.v, b.v, 0xaa)}; }
/** The sums of neighbouring lanes: 0 and 1, 2 and 3, … of a, then of b. */
inline Vec sum_pairs(Vec a, Vec b) {
  const __m256 sums = _mm256_add_ps(_mm256_shuffle_ps(a.v, b.v, 0x88), _mm256_shuffle_ps(a.v, b.v, 0xdd));
  return {_mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(sums), 0xd8))};
}
/** Sum of all lanes, in a fixed order. */
inline float sum(Vec a) {
  const __m128 half = _mm_add_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
  const __m128 pair = _mm_add_ps(half, _mm_movehl_ps(half, half));
  return _mm_cvtss_f32(_mm_add_ss(pair, _mm_movehdup_ps(pair)));
}

}  // namespace tvn::avx2
