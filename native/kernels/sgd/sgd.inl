// Vector body of the optimiser's update.
#include "core/simd/stream.inl"
#include "kernels/sgd/sgd.h"

namespace tvn::TVN_ISA {

void sgd(int64_t size, const SgdArgs& args, ThreadPool& pool) {
  with_flag(args.nesterov, [&](auto nesterov) {
    split(size, pool, [&](int64_t begin, int64_t end) {
      float *w = args.w + begin, *v = args.v + begin;
      const float* g = args.g + begin;
      const Vec rate = broadcast(args.rate), momentum = broadcast(args.momentum), decay = broadcast(args.weight_decay);
      for_vectors(0, end - begin, [=](int64_t i, auto mask) {
        const Vec old = load(w + i, mask), d = fma(decay, old, load(g + i, mask)), velocity = fma(momentum, load(v + i, mask), d);
        store(v + i, velocity, mask);
        store(w + i, fnma(rate, nesterov.value ? fma(momentum, velocity, d) : velocity, old), mask);
      });
    });
  });
}

}  // namespace tvn::TVN_ISA
