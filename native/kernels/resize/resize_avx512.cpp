#include "core/simd/avx512.h"

namespace tvn::avx512 {
namespace {

constexpr int word_lanes = 32;
using Words = __m512i;

/** 32 bytes as 16-bit words. */
inline Words load_words(const uint8_t* p) { return _mm512_cvtepu8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))); }
inline Words broadcast_pair(int32_t pair) { return _mm512_set1_epi32(pair); }
/** Sums of 32 words in 32 bits, in the order in which unpacking leaves them. */
struct WordSums {
  Words low, high;
};
inline WordSums broadcast_sums(int32_t x) { return {_mm512_set1_epi32(x), _mm512_set1_epi32(x)}; }
/** sums + a·pair[0] + b·pair[1] */
inline WordSums add_products(WordSums sums, Words a, Words b, Words pair) {
  return {_mm512_add_epi32(sums.low, _mm512_madd_epi16(_mm512_unpacklo_epi16(a, b), pair)),
          _mm512_add_epi32(sums.high, _mm512_madd_epi16(_mm512_unpackhi_epi16(a, b), pair))};
}
/** The sums shifted right by `bits`, as words in their order. */
template <int bits>
inline void store_words(int16_t* p, WordSums sums) {
  _mm512_storeu_si512(p, _mm512_packs_epi32(_mm512_srai_epi32(sums.low, bits), _mm512_srai_epi32(sums.high, bits)));
}
inline Vec load_whole(const int32_t* p, Mask m) { return {_mm512_cvtepi32_ps(_mm512_maskz_loadu_epi32(m.m, p))}; }
/** Rounds to nearest; a is in [0, 255]. */
inline void store_bytes(uint8_t* p, Vec a, Mask m) { _mm512_mask_cvtepi32_storeu_epi8(p, m.m, _mm512_cvtps_epi32(a.v)); }

}  // namespace
}  // namespace tvn::avx512

#include "kernels/resize/resize.inl"
