#include "core/simd/avx512.h"
#include "core/thread_pool.h"
#include "kernels/elementwise/elementwise.inl"
