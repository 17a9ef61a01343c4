#include "core/simd/avx512.h"
//
#include "kernels/attention/attention.inl"
