#include "core/simd/avx2.h"
//
#include "kernels/attention/attention.inl"
