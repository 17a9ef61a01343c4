// Body of dropout: a plain loop that the compiler vectorises for each instruction set.
#include "core/simd/stream.inl"
#include "kernels/dropout/dropout.h"
#include "kernels/dropout/random.h"

namespace tvn::TVN_ISA {

void dropout(int64_t size, const DropoutArgs& args, ThreadPool& pool) {
  const DropoutRandom random(args.seed);
  const uint32_t threshold = dropout_threshold(args.rate);
  const float scale = 1 / (1 - args.rate);
  split(size, pool, [&](int64_t begin, int64_t end) {
    const float* x = args.x;
    float* y = args.y;
    for (int64_t i = begin; i < end; i++) y[i] = x[i] * (random(static_cast<uint32_t>(i)) < threshold ? 0.0f : scale);
  });
}

}  // namespace tvn::TVN_ISA
