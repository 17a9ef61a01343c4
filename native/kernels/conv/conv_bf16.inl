// Dense convolution forward over pairs of bf16: conv.inl's geometry, tiles and order of sums, with the words of words_bf16.inl. What a
// block reads is converted once, into the copy that padding needs anyway; weights are converted when they are packed.
#include "core/simd/common.inl"
#include "core/simd/math.inl"
#include "core/simd/words_bf16.inl"
//
#include "kernels/conv/conv_geometry.inl"
//
#include "kernels/conv/conv_ahead.inl"
//
#include "kernels/conv/conv_tile.inl"
//
#include "kernels/conv/conv_forward.inl"
#include "kernels/conv/matrix_tile.inl"
//
#include "kernels/conv/strassen.inl"

namespace tvn::TVN_ISA {
namespace {

/** With the three channels of a clip, to convert a pixel takes as long as to multiply it. */
bool forward_pays(const ConvShape& s, Precision) { return s.x.c >= 8; }

}  // namespace

extern const ConvKernel<ConvForwardArgs> conv_forward, conv_forward_strassen;
extern const ConvSumKernel conv_sum, conv_sum_strassen;

constexpr ConvKernel<ConvForwardArgs> conv_forward_strassen = forward_strassen("conv_forward_bf16_strassen_avx512_bf16");
constexpr ConvSumKernel conv_sum_strassen = sum_strassen("conv_sum_bf16_strassen_avx512_bf16");
constexpr ConvKernel<ConvForwardArgs> conv_forward{.name = "conv_forward_bf16_avx512_bf16",
                                                   .isa = Isa::TVN_ISA,
                                                   .packed_size = forward_packed_size,
                                                   .pack = forward_pack,
                                                   .scratch_size = forward_scratch_size,
                                                   .run = forward,
                                                   .pays = forward_pays,
                                                   .precision = Precision::bf16,
                                                   .tilings = forward_tilings};
constexpr ConvSumKernel conv_sum{.name = "conv_sum_bf16_avx512_bf16",
                                 .isa = Isa::TVN_ISA,
                                 .packed_size = forward_packed_size,
                                 .pack = forward_pack,
                                 .scratch_size = sum_scratch_size,
                                 .run = forward_sum,
                                 .precision = Precision::bf16,
                                 .tilings = forward_tilings};

}  // namespace tvn::TVN_ISA
