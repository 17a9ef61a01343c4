#include "core/simd/avx2.h"
#include "core/thread_pool.h"
#include "kernels/sum/sum.inl"
