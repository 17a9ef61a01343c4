#include "core/simd/avx512.h"
//
#include "kernels/normalize/normalize.inl"
