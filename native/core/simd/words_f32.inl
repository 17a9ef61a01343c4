// What convolutions multiply: words of 32 bits. Here a word is one channel in f32; words_bf16.inl has the same names.
// Include after core/simd/<isa>.h; the names land in that header's namespace.
#pragma once

#include <cstring>

#include "core/simd/common.inl"

namespace tvn::TVN_ISA {

constexpr int64_t channels_per_word = 1;
/** Whether a tensor's floats must be copied to become words. */
constexpr bool converts = false;
constexpr int64_t words(int64_t channels) { return channels; }

/** sum + x · w in every word. */
inline Vec multiply_add(Vec x, Vec w, Vec sum) { return fma(x, w, sum); }

/** The words of the last channels_per_word vectors of channels. */
inline Vec to_words(Vec, Vec last) { return last; }

/** Where the channels of a word lie, null for one that pads it with 0. */
struct WordSource {
  const float* channel[channels_per_word];
};
/** The word of the values `offset` floats from there. */
inline float to_word(const WordSource& from, int64_t offset) { return from.channel[0] ? from.channel[0][offset] : 0; }

/** The words of consecutive channels. */
inline void to_words(float* to, const float* from, int64_t channels) {
  std::memcpy(to, from, static_cast<std::size_t>(channels) * sizeof(float));
}

}  // namespace tvn::TVN_ISA
