#include <cmath>

#include "cuda/test/test.h"

namespace tvn::emulation {
namespace {

using cuda::test::Random;

half from_bits(unsigned bits) { return __ushort_as_half(static_cast<unsigned short>(bits)); }

double value_of(unsigned bits) {
  const int exponent = static_cast<int>(bits >> 10 & 31), mantissa = static_cast<int>(bits & 1023);
  const double magnitude = exponent == 0    ? std::ldexp(mantissa, -24)
                           : exponent == 31 ? (mantissa ? NAN : HUGE_VAL)
                                            : std::ldexp(mantissa + 1024, exponent - 25);
  return bits & 0x8000 ? -magnitude : magnitude;
}

CUDA_TEST(emulation_reads_every_half) {
  for (unsigned bits = 0; bits < 65536; bits++) {
    const double want = value_of(bits), got = __half2float(from_bits(bits));
    EXPECT(std::isnan(want) ? std::isnan(got) && __hisnan(from_bits(bits)) : got == want && std::signbit(got) == std::signbit(want));
    EXPECT(std::isnan(want) || __half_as_ushort(__float2half(static_cast<float>(want))) == bits);
  }
}

/** Between two neighbours the nearer one, of equally near ones the even one. */
CUDA_TEST(emulation_rounds_to_halves) {
  for (unsigned bits = 0; bits < 0x7bff; bits++) {
    const double low = value_of(bits), high = value_of(bits + 1), middle = (low + high) / 2;
    const float halfway = static_cast<float>(middle);
    EXPECT(__half_as_ushort(__float2half(halfway)) == bits + bits % 2);
    EXPECT(__half_as_ushort(__float2half(std::nextafter(halfway, 0.0f))) == bits);
    EXPECT(__half_as_ushort(__float2half(-std::nextafter(halfway, 1e9f))) == bits + 1 + 0x8000);
  }
  EXPECT(__half_as_ushort(__float2half(65519.0f)) == 0x7bff);
  EXPECT(__half_as_ushort(__float2half(65520.0f)) == 0x7c00);
  EXPECT(__half_as_ushort(__float2half(-1e30f)) == 0xfc00);
  EXPECT(__hisnan(__float2half(NAN)));
}

/** The half nearest to an exact value. */
bool nearest(half got, double exact) {
  const unsigned bits = __half_as_ushort(got);
  if (__hisinf(got)) return std::fabs(exact) >= 65520;
  const double error = std::fabs(value_of(bits) - exact);
  for (const unsigned neighbour : {bits - 1, bits + 1}) {
    if (__hisinf(from_bits(neighbour)) || __hisnan(from_bits(neighbour))) continue;
    const double other = std::fabs(value_of(neighbour & 0xffff) - exact);
    if (other < error || (other == error && bits % 2)) return false;
  }
  return true;
}

CUDA_TEST(emulation_rounds_arithmetic_once) {
  Random random;
  for (int repeat = 0; repeat < 200000; repeat++) {
    const auto draw = [&] { return from_bits(static_cast<unsigned>(random.bits() & 0xffff) % 0x7c00 | (random.bits() & 0x8000)); };
    const half a = draw(), b = draw(), c = draw();
    const double x = __half2float(a), y = __half2float(b), z = __half2float(c);
    EXPECT(nearest(__hadd(a, b), x + y));
    EXPECT(nearest(__hsub(a, b), x - y));
    EXPECT(nearest(__hmul(a, b), x * y));
    // a product and an addend of similar size, so that f64 holds their sum
    const half near = __float2half(static_cast<float>(-x * y * (1 + static_cast<double>(random.integer(-8, 8)) / 1024)));
    if (!__hisinf(near)) EXPECT(nearest(__hfma(a, b, near), x * y + static_cast<double>(__half2float(near))));
    if (std::fabs(x * y) < 1024 && std::fabs(x * y) > 0x1p-10 && std::fabs(z) > 0x1p-10) EXPECT(nearest(__hfma(a, b, c), x * y + z));
  }
  // halfway but for the last bits of the addend: rounding twice would go to even
  EXPECT(__half_as_ushort(__hfma(__float2half(1 + 0x1p-10f), __float2half(0.5f), from_bits(1))) ==
         __half_as_ushort(__float2half(0.5f + 0x1p-11f)));
}

CUDA_TEST(emulation_compares_halves) {
  const half nan = from_bits(0x7e00), one = __float2half(1), two = __float2half(2), zero = from_bits(0), minus_zero = from_bits(0x8000);
  EXPECT(__heq(__hmax(nan, one), one) && __heq(__hmax(one, nan), one) && __heq(__hmin(nan, one), one));
  EXPECT(__hisnan(__hmax(nan, nan)) && __hisnan(__hmax_nan(nan, one)) && __hisnan(__hmin_nan(one, nan)));
  EXPECT(__heq(__hmax(one, two), two) && __heq(__hmin(one, two), one));
  EXPECT(__half_as_ushort(__hmax(minus_zero, zero)) == 0 && __half_as_ushort(__hmin(zero, minus_zero)) == 0x8000);
  EXPECT(!__heq(nan, nan) && !__hne(nan, nan) && !__hlt(nan, one) && __heq(zero, minus_zero));
  const half2 pair = __hmax2(__halves2half2(one, nan), __half2half2(two));
  EXPECT(__low2float(pair) == 2 && __high2float(pair) == 2);
  EXPECT(__low2float(__lowhigh2highlow(__floats2half2_rn(1, 2))) == 2);
}

CUDA_TEST(emulation_has_functions_of_the_device) {
  EXPECT(min(3, 4) == 3 && max(3u, 4u) == 4u && max(-1, 1u) == 0xffffffffu);
  EXPECT(max(NAN, 1.0f) == 1 && min(1.0f, NAN) == 1);
  EXPECT(__umulhi(0x80000000u, 6) == 3 && __popc(0xf0f0u) == 8 && __ffs(8) == 4 && __ffs(0) == 0 && __clz(1) == 31);
  EXPECT(__uint_as_float(__float_as_uint(1.5f)) == 1.5f && rsqrtf(4) == 0.5f && __saturatef(7) == 1 && __saturatef(NAN) == 0);
}

}  // namespace
}  // namespace tvn::emulation
