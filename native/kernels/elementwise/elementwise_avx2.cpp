#include "core/simd/avx2.h"
#include "core/thread_pool.h"
#include "kernels/elementwise/elementwise.inl"
