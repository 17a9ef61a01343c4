// Resizing row by row: the rows under the filter become one of 16-bit words, whose columns under the filter become a row of sums. The
// file that includes this one defines Words, vectors of `word_lanes` 16-bit numbers.
#include <cstring>

#include "core/simd/common.inl"
#include "kernels/resize/resize_plan.h"

namespace tvn::TVN_ISA {
namespace {

/** Two weights side by side. */
inline int32_t pair_at(const int16_t* weights) {
  int32_t pair;
  std::memcpy(&pair, weights, sizeof pair);
  return pair;
}

/** plan.row = the rows of the square under position y's filter. */
void filter_rows(const ResizeArgs& a, const ResizePlan& plan, int64_t y) {
  const int64_t count = a.side * 3, pitch = a.width * 3, top = plan.first[y];
  const uint8_t* const in = a.in + (a.top * a.width + a.left) * 3;
  const int16_t* const weights = plan.weights + y * 2 * plan.pairs;
  constexpr int shift = weight_bits - row_bits;
  for (int64_t i = 0; i < count; i += word_lanes) {
    const int64_t at = smaller(i, count - word_lanes);  // the last vector overlaps the one before
    WordSums sums = broadcast_sums(1 << (shift - 1));
    for (int64_t k = 0; k < plan.pairs; k++) {
      // A second row of weight 0 may lie below the square.
      const int64_t upper = smaller(top + 2 * k, a.side - 1), lower = smaller(top + 2 * k + 1, a.side - 1);
      sums = add_products(sums, load_words(in + upper * pitch + at), load_words(in + lower * pitch + at),
                          broadcast_pair(pair_at(weights + 2 * k)));
    }
    store_words<shift>(plan.row + at, sums);
  }
}

/** plan.sums[x] = the pixels of plan.row under each position's filter. */
void filter_columns(const ResizeArgs& a, const ResizePlan& plan) {
  const __m128i by_channel = _mm_setr_epi8(0, 1, 6, 7, 2, 3, 8, 9, 4, 5, 10, 11, -1, -1, -1, -1);  // r g b r g b → rr gg bb
  for (int64_t x = 0; x < a.size; x++) {
    const int64_t position = a.flip ? a.size - 1 - x : x;
    const int16_t* pixels = plan.row + plan.first[position] * 3;
    const int16_t* weights = plan.weights + position * 2 * plan.pairs;
    __m128i sum = _mm_setzero_si128();
    for (int64_t k = 0; k < plan.pairs; k++, pixels += 6, weights += 2) {
      const __m128i two = _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(pixels)), by_channel);
      sum = _mm_add_epi32(sum, _mm_madd_epi16(two, _mm_set1_epi32(pair_at(weights))));
    }
    _mm_storeu_si128(reinterpret_cast<__m128i*>(plan.sums + x * 3), sum);  // the fourth is overwritten by the next position
  }
}

void store_row(const ResizeArgs& a, const ResizePlan& plan, uint8_t* out) {
  const Vec scale = broadcast(a.gain / (1 << (weight_bits + row_bits))), offset = broadcast(a.offset);
  for (int64_t i = 0; i < a.size * 3; i += lanes) {
    const Mask mask = first(a.size * 3 - i);
    const Vec value = load_whole(plan.sums + i, mask) * scale + offset;  // two roundings on every instruction set
    store_bytes(out + i, min(max(value, zero()), broadcast(255.0f)), mask);
  }
}

}  // namespace

void resize(const ResizeArgs& a) {
  if (a.side * 3 < word_lanes) return resize_portable(a);
  const ResizePlan plan = plan_resize(a);
  for (int64_t y = 0; y < a.size; y++) {
    filter_rows(a, plan, y);
    filter_columns(a, plan);
    store_row(a, plan, a.out + y * a.size * 3);
  }
}

}  // namespace tvn::TVN_ISA
