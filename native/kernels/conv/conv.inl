// Dense convolution over Vec; see conv.h for what the kernels compute.
//
// All passes cut the positions into blocks, see a block's input in place or through a zero-padded copy (conv_geometry.inl), so that
// windows never leave it, and sum in register tiles: positions × output channels for the forward pass and the data gradient
// (conv_tile.inl), rows × columns of dw for the weight gradient (conv_update.inl). The order in which a sum is formed follows from
// shape and instruction set: neither the tile nor the thread that computes it matters.
//
// Scratch: per thread two offsets for every position of a block (three for a sum of two) and a copy of its input, at most 64 Ki words
// (times the tiling's factor; weight gradient: 256 Ki) or one window if that is more; for the weight gradient also copies of dw, together
// at most 1 Mi floats, or one where it lies transposed.
#include "core/simd/common.inl"
#include "core/simd/math.inl"
#include "core/simd/words_f32.inl"
//
#include "kernels/conv/conv_geometry.inl"
//
#include "kernels/conv/conv_ahead.inl"
//
#include "kernels/conv/conv_tile.inl"
#include "kernels/conv/conv_update.inl"
//
#include "kernels/conv/conv_forward.inl"
//
#include "kernels/conv/conv_data_gradient.inl"
#include "kernels/conv/conv_weight_gradient.inl"
#include "kernels/conv/matrix_tile.inl"
//
#include "kernels/conv/strassen_gradient.inl"
#include "kernels/conv/winograd.inl"

#define TVN_STRING_OF(x) #x
#define TVN_STRING(x) TVN_STRING_OF(x)

namespace tvn::TVN_ISA {

extern const ConvKernel<ConvForwardArgs> conv_forward, conv_forward_strassen, conv_forward_winograd4, conv_forward_winograd5;
extern const ConvSumKernel conv_sum, conv_sum_strassen;
extern const ConvKernel<ConvDataGradientArgs> conv_data_gradient, conv_data_gradient_strassen, conv_data_gradient_winograd4,
    conv_data_gradient_winograd5;
extern const ConvKernel<ConvWeightGradientArgs> conv_weight_gradient;

template <int Outputs>
constexpr ConvKernel<ConvForwardArgs> forward_winograd(const char* name) {
  return {name,
          Isa::TVN_ISA,
          winograd_forward_packed_size<Outputs>,
          winograd_forward_pack<Outputs>,
          winograd_forward_scratch_size<Outputs>,
          winograd_forward<Outputs>,
          winograd_supports<Outputs>,
          winograd_forward_pays<Outputs>,
          Precision::f32,
          Outputs,
          winograd_tilings};
}
template <int Outputs>
constexpr ConvKernel<ConvDataGradientArgs> data_gradient_winograd(const char* name) {
  return {name,
          Isa::TVN_ISA,
          winograd_gradient_packed_size<Outputs>,
          winograd_gradient_pack<Outputs>,
          winograd_gradient_scratch_size<Outputs>,
          winograd_gradient<Outputs>,
          winograd_gradient_supports<Outputs>,
          winograd_gradient_pays<Outputs>};
}
constexpr ConvKernel<ConvForwardArgs> conv_forward_winograd4 = forward_winograd<4>("conv_forward_f32_winograd4_" TVN_STRING(TVN_ISA));
constexpr ConvKernel<ConvForwardArgs> conv_forward_winograd5 = forward_winograd<5>("conv_forward_f32_winograd5_" TVN_STRING(TVN_ISA));
constexpr ConvKernel<ConvDataGradientArgs> conv_data_gradient_winograd4 =
    data_gradient_winograd<4>("conv_data_gradient_f32_winograd4_" TVN_STRING(TVN_ISA));
constexpr ConvKernel<ConvDataGradientArgs> conv_data_gradient_winograd5 =
    data_gradient_winograd<5>("conv_data_gradient_f32_winograd5_" TVN_STRING(TVN_ISA));
constexpr ConvKernel<ConvForwardArgs> conv_forward_strassen = forward_strassen("conv_forward_f32_strassen_" TVN_STRING(TVN_ISA));
constexpr ConvSumKernel conv_sum_strassen = sum_strassen("conv_sum_f32_strassen_" TVN_STRING(TVN_ISA));
constexpr ConvKernel<ConvDataGradientArgs> conv_data_gradient_strassen{"conv_data_gradient_f32_strassen_" TVN_STRING(TVN_ISA),
                                                                       Isa::TVN_ISA,
                                                                       strassen_gradient_packed_size,
                                                                       strassen_gradient_pack,
                                                                       strassen_gradient_scratch_size,
                                                                       strassen_gradient,
                                                                       strassen_gradient_supports,
                                                                       strassen_gradient_pays};
constexpr ConvKernel<ConvForwardArgs> conv_forward{.name = "conv_forward_f32_" TVN_STRING(TVN_ISA),
                                                   .isa = Isa::TVN_ISA,
                                                   .packed_size = forward_packed_size,
                                                   .pack = forward_pack,
                                                   .scratch_size = forward_scratch_size,
                                                   .run = forward,
                                                   .tilings = forward_tilings};
constexpr ConvSumKernel conv_sum{.name = "conv_sum_f32_" TVN_STRING(TVN_ISA),
                                 .isa = Isa::TVN_ISA,
                                 .packed_size = forward_packed_size,
                                 .pack = forward_pack,
                                 .scratch_size = sum_scratch_size,
                                 .run = forward_sum,
                                 .tilings = forward_tilings};
constexpr ConvKernel<ConvDataGradientArgs> conv_data_gradient{"conv_data_gradient_f32_" TVN_STRING(TVN_ISA),
                                                              Isa::TVN_ISA,
                                                              data_gradient_packed_size,
                                                              data_gradient_pack,
                                                              data_gradient_scratch_size,
                                                              data_gradient};
constexpr ConvKernel<ConvWeightGradientArgs> conv_weight_gradient{"conv_weight_gradient_f32_" TVN_STRING(TVN_ISA),
                                                                  Isa::TVN_ISA,
                                                                  weight_gradient_packed_size,
                                                                  nullptr,
                                                                  weight_gradient_scratch_size,
                                                                  weight_gradient};

}  // namespace tvn::TVN_ISA
