// Bytes to floats over Vec.
#include "core/simd/common.inl"
#include "kernels/normalize/normalize.h"

namespace tvn::TVN_ISA {

void normalize(int64_t size, const NormalizeArgs& a, ThreadPool& pool) {
  constexpr int64_t part = 1 << 14;
  pool.run(ceil_div(size, part), [&](int64_t task, int) {
    // One rounding, as (2·byte − 255) is exact: dividing first would cost a second one.
    const Vec twice = broadcast(2.0f), middle = broadcast(255.0f), scale = broadcast(1.0f / 255.0f);
    for_vectors(task * part, smaller(size, (task + 1) * part),
                [&](int64_t i, auto mask) { store(a.y + i, (twice * load_bytes(a.x + i, mask) - middle) * scale, mask); });
  });
}

}  // namespace tvn::TVN_ISA
