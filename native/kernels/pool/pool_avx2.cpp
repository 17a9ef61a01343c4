#include "core/simd/avx2.h"
//
#include "kernels/pool/pool.inl"
