#include "core/simd/avx512.h"
//
#include "kernels/conv/conv.inl"
