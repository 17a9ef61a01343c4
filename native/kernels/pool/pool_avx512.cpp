#include "core/simd/avx512.h"
//
#include "kernels/pool/pool.inl"
