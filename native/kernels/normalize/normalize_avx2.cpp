#include "core/simd/avx2.h"
//
#include "kernels/normalize/normalize.inl"
