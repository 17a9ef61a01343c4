#include "core/simd/avx512.h"
#include "core/thread_pool.h"
#include "kernels/sum/sum.inl"
