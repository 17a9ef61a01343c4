#include "core/simd/avx2.h"
//
#include "kernels/conv/conv.inl"
