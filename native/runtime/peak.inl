// Independent chains of multiplications, enough to hide their latency on every CPU so far (6 cycles × 2 units).
namespace tvn::TVN_ISA {
namespace {

double fma_rounds(int64_t steps) {
  constexpr int chains = registers == 32 ? 24 : 12;
  Vec sums[chains];
  unroll<chains>([&](auto i) TVN_INLINE { sums[i] = broadcast(static_cast<float>(i)); });
  const Vec x = broadcast(1e-3f), w = broadcast(2e-3f);
  for (int64_t step = 0; step < steps; step++) unroll<chains>([&](auto i) TVN_INLINE { sums[i] = multiply_add(x, w, sums[i]); });
  Vec total = zero();
  unroll<chains>([&](auto i) TVN_INLINE { total = total + sums[i]; });
  volatile float sink = sum(total);  // keeps the chains alive
  (void)sink;
  return 2.0 * channels_per_word * chains * lanes * static_cast<double>(steps);
}

}  // namespace
}  // namespace tvn::TVN_ISA
