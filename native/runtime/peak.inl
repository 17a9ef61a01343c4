// Independent FMA chains, enough to hide their latency on every CPU so far (5 cycles × 2 units).
namespace tvn::TVN_ISA {
namespace {

double fma_rounds(int64_t steps) {
  constexpr int chains = 12;
  Vec sums[chains];
#pragma GCC unroll 12
  for (int i = 0; i < chains; i++) sums[i] = broadcast(static_cast<float>(i));
  const Vec factor = broadcast(0.999f), one = broadcast(1.0f);
  for (int64_t step = 0; step < steps; step++) {
#pragma GCC unroll 12
    for (int i = 0; i < chains; i++) sums[i] = fma(sums[i], factor, one);
  }
  Vec total = sums[0];
  for (int i = 1; i < chains; i++) total = total + sums[i];
  volatile float sink = sum(total);  // keeps the chains alive
  (void)sink;
  return 2.0 * chains * lanes * static_cast<double>(steps);
}

}  // namespace
}  // namespace tvn::TVN_ISA
