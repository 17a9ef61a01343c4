// Dense convolution over Vec; see conv.h for what the kernels compute.
//
// All passes cut the positions into blocks, see a block's input in place or through a zero-padded copy (conv_geometry.inl), so that
// windows never leave it, and sum in register tiles: positions × output channels for the forward pass and the data gradient
// (conv_tile.inl), rows × columns of dw for the weight gradient (conv_update.inl). A sum is one chain of FMAs in the order
// of w's first four axes, whatever the tile, the cut or the number of threads.
//
// Scratch: per thread a copy of at most 64 Ki floats, or one window if that is more, and two offsets for every position of a block;
// for the weight gradient also the copies of dw, at most 1 Mi floats or one dw.
#include "core/simd/common.inl"
#include "core/simd/math.inl"
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
#include "kernels/conv/conv_weight_gradient.inl"

#define TVN_STRING_OF(x) #x
#define TVN_STRING(x) TVN_STRING_OF(x)

namespace tvn::TVN_ISA {

extern const ConvKernel<ConvForwardArgs> conv_forward;
extern const ConvKernel<ConvDataGradientArgs> conv_data_gradient;
extern const ConvKernel<ConvWeightGradientArgs> conv_weight_gradient;

constexpr ConvKernel<ConvForwardArgs> conv_forward{
    "conv_forward_f32_" TVN_STRING(TVN_ISA), Isa::TVN_ISA, forward_packed_size, forward_pack, forward_scratch_size, forward};
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
