#include "core/simd/avx2.h"

namespace tvn::avx2 {
namespace {

constexpr int word_lanes = 16;
using Words = __m256i;

/** 16 bytes as 16-bit words. */
inline Words load_words(const uint8_t* p) { return _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))); }
inline Words broadcast_pair(int32_t pair) { return _mm256_set1_epi32(pair); }
/** Sums of 16 words in 32 bits, in the order in which unpacking leaves them. */
struct WordSums {
  Words low, high;
};
inline WordSums broadcast_sums(int32_t x) { return {_mm256_set1_epi32(x), _mm256_set1_epi32(x)}; }
/** sums + a·pair[0] + b·pair[1] */
inline WordSums add_products(WordSums sums, Words a, Words b, Words pair) {
  return {_mm256_add_epi32(sums.low, _mm256_madd_epi16(_mm256_unpacklo_epi16(a, b), pair)),
          _mm256_add_epi32(sums.high, _mm256_madd_epi16(_mm256_unpackhi_epi16(a, b), pair))};
}
/** The sums shifted right by `bits`, as words in their order. */
template <int bits>
inline void store_words(int16_t* p, WordSums sums) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                      _mm256_packs_epi32(_mm256_srai_epi32(sums.low, bits), _mm256_srai_epi32(sums.high, bits)));
}
inline Vec load_whole(const int32_t* p, Mask m) { return {_mm256_cvtepi32_ps(_mm256_maskload_epi32(p, m.m))}; }
/** Rounds to nearest; a is in [0, 255]. */
inline void store_bytes(uint8_t* p, Vec a, Mask m) {
  const __m256i whole = _mm256_cvtps_epi32(a.v);
  const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1));
  const __m128i bytes = _mm_packus_epi16(words, words);
  const int some = _mm256_movemask_ps(_mm256_castsi256_ps(m.m));
  if (some == 0xff) {
    _mm_storel_epi64(reinterpret_cast<__m128i*>(p), bytes);
  } else {
    alignas(16) uint8_t all[16];
    _mm_store_si128(reinterpret_cast<__m128i*>(all), bytes);
    for (int i = 0; some >> i & 1; i++) p[i] = all[i];
  }
}

}  // namespace
}  // namespace tvn::avx2

#include "kernels/resize/resize.inl"
