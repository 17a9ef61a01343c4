#include "runtime/measure.h"

#include "core/clock.h"

namespace tvn {

/** Runs `steps` rounds of independent FMAs in registers and returns how many floating-point operations that were. */
double fma_rounds_reference(int64_t steps);
double fma_rounds_avx2(int64_t steps);
double fma_rounds_avx512(int64_t steps);
double fma_rounds_avx512_bf16(int64_t steps);

double measure_peak(Isa isa, double milliseconds, Precision precision) {
  require_precision(precision, isa);
  double (*const rounds)(int64_t) = precision == Precision::bf16 ? fma_rounds_avx512_bf16
                                    : isa >= Isa::avx512         ? fma_rounds_avx512
                                    : isa == Isa::avx2           ? fma_rounds_avx2
                                                                 : fma_rounds_reference;
  constexpr int64_t steps = 200'000;
  const auto begin = Clock::now();
  double operations = 0, ms = 0;
  do operations += rounds(steps);
  while ((ms = ms_since(begin)) < milliseconds);
  return operations / ms / 1e6;  // with all the interruptions that a network's runs have too
}

double fma_rounds_reference(int64_t steps) {
  constexpr int chains = 8;
  float sums[chains] = {};
  const volatile float factor = 0.999f;
  const float f = factor;
  for (int64_t i = 0; i < steps; i++)
    for (float& sum : sums) sum = sum * f + 1.0f;
  volatile float sink = 0;
  for (const float sum : sums) sink = sink + sum;
  return 2.0 * chains * static_cast<double>(steps);
}

}  // namespace tvn
