#include "core/simd/avx512.h"
//
#include "kernels/depthwise/depthwise.inl"
