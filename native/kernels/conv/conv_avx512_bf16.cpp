#include "core/simd/avx512_bf16.h"
//
#include "kernels/conv/conv_bf16.inl"
