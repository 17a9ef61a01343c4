#include "core/simd/avx2.h"
//
#include "kernels/depthwise/depthwise.inl"
