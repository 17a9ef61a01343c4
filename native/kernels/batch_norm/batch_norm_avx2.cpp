#include "core/simd/avx2.h"
#include "core/thread_pool.h"
#include "kernels/batch_norm/batch_norm.inl"
