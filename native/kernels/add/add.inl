// Vector body of add.
#include "core/simd/math.inl"
#include "core/simd/stream.inl"
#include "kernels/add/add.h"

namespace tvn::TVN_ISA {

void add_forward(int64_t size, const AddArgs& args, ThreadPool& pool) {
  with_function(args.function, [&](auto function) {
    split(size, pool, [&](int64_t begin, int64_t end) {
      const float *a = args.a + begin, *b = args.b + begin;
      float* y = args.y + begin;
      for_vectors(0, end - begin,
                  [=](int64_t i, auto mask) { store(y + i, apply(function.value, load(a + i, mask) + load(b + i, mask)), mask); });
    });
  });
}

}  // namespace tvn::TVN_ISA
