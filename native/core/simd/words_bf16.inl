// What convolutions multiply: words of 32 bits. Here a word is a pair of neighbouring channels in bf16; words_f32.inl has the same names.
// Include after core/simd/avx512_bf16.h; the names land in its namespace.
#pragma once

#include "core/simd/common.inl"

namespace tvn::TVN_ISA {

constexpr int64_t channels_per_word = 2;
/** Whether a tensor's floats must be copied to become words. */
constexpr bool converts = true;
constexpr int64_t words(int64_t channels) { return ceil_div(channels, channels_per_word); }

/** sum + x · w in every word, both channels of it. */
inline Vec multiply_add(Vec x, Vec w, Vec sum) { return add_products(sum, x, w); }

/** The words of the last channels_per_word vectors of channels. */
inline Vec to_words(Vec before, Vec last) { return to_bf16(before, last); }

/** Where the channels of a word lie, null for one that pads it with 0. */
struct WordSource {
  const float* channel[channels_per_word];
};
/** The word of the values `offset` floats from there. */
inline float to_word(const WordSource& from, int64_t offset) {
  return to_bf16(from.channel[0] ? from.channel[0][offset] : 0, from.channel[1] ? from.channel[1][offset] : 0);
}

/** The words of consecutive channels. */
inline void to_words(float* to, const float* from, int64_t channels) {
  int64_t c = 0;
  const auto convert = [&](auto lower, auto upper, auto mask)
                           TVN_INLINE { store(to + c / 2, to_bf16(load(from + c, lower), load(from + c + lanes, upper)), mask); };
  for (; c + 2 * lanes <= channels; c += 2 * lanes) convert(All{}, All{}, All{});
  if (c < channels) convert(first(channels - c), first(channels - c - lanes), first(words(channels - c)));
}

}  // namespace tvn::TVN_ISA
