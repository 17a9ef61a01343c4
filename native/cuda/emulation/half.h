// Halves: IEEE binary16, rounded to nearest even. Arithmetic is that of the device: a result is rounded once.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "cuda/emulation/language.h"

namespace tvn::emulation {

constexpr std::uint16_t half_bits(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value), magnitude = bits & 0x7fffffff;
  std::uint32_t half;
  if (magnitude >= 0x47800000) {  // 65536 and more
    half = magnitude > 0x7f800000 ? 0x7fff : 0x7c00;
  } else if (magnitude < 0x38800000) {  // below 2⁻¹⁴: adding 0.5 leaves multiples of 2⁻²⁴
    half = std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) - std::bit_cast<std::uint32_t>(0.5f);
  } else {
    half = (magnitude - (112u << 23) + 0xfff + (magnitude >> 13 & 1)) >> 13;
  }
  return static_cast<std::uint16_t>(half | (bits >> 16 & 0x8000));
}

constexpr float float_of_half(std::uint16_t bits) {
  const std::uint32_t magnitude = static_cast<std::uint32_t>(bits & 0x7fff) << 13;
  std::uint32_t value = std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) * 0x1p112f);  // subnormals too
  if (magnitude >= 0x7c00u << 13) value |= 0x7f800000;                                             // infinite, or NaN
  return std::bit_cast<float>(value | static_cast<std::uint32_t>(bits & 0x8000) << 16);
}

}  // namespace tvn::emulation

struct __half {
  std::uint16_t bits;

  __half() = default;
  constexpr __half(float value) : bits(tvn::emulation::half_bits(value)) {}
  constexpr __half(double value) : __half(static_cast<float>(value)) {}
  constexpr __half(int value) : __half(static_cast<float>(value)) {}
  constexpr operator float() const { return tvn::emulation::float_of_half(bits); }
};
using half = __half;

struct alignas(4) __half2 {
  half x, y;

  __half2() = default;
  constexpr __half2(half low, half high) : x(low), y(high) {}
};
using half2 = __half2;

constexpr half __float2half(float a) { return half(a); }
constexpr half __float2half_rn(float a) { return half(a); }
constexpr half __double2half(double a) { return half(a); }
constexpr half __int2half_rn(int a) { return half(a); }
constexpr half __ushort2half_rn(unsigned short a) { return half(static_cast<float>(a)); }
constexpr float __half2float(half a) { return a; }
constexpr half __ushort_as_half(unsigned short bits) { return std::bit_cast<half>(bits); }
constexpr unsigned short __half_as_ushort(half a) { return a.bits; }
constexpr half __short_as_half(short bits) { return std::bit_cast<half>(bits); }
constexpr short __half_as_short(half a) { return std::bit_cast<short>(a); }

constexpr half2 __halves2half2(half low, half high) { return {low, high}; }
constexpr half2 make_half2(half low, half high) { return {low, high}; }
constexpr half2 __half2half2(half a) { return {a, a}; }
constexpr half2 __float2half2_rn(float a) { return {half(a), half(a)}; }
constexpr half2 __floats2half2_rn(float low, float high) { return {half(low), half(high)}; }
constexpr half2 __float22half2_rn(float2 a) { return {half(a.x), half(a.y)}; }
constexpr float2 __half22float2(half2 a) { return {a.x, a.y}; }
constexpr half __low2half(half2 a) { return a.x; }
constexpr half __high2half(half2 a) { return a.y; }
constexpr float __low2float(half2 a) { return a.x; }
constexpr float __high2float(half2 a) { return a.y; }
constexpr half2 __low2half2(half2 a) { return {a.x, a.x}; }
constexpr half2 __high2half2(half2 a) { return {a.y, a.y}; }
constexpr half2 __lowhigh2highlow(half2 a) { return {a.y, a.x}; }
constexpr half2 __lows2half2(half2 a, half2 b) { return {a.x, b.x}; }
constexpr half2 __highs2half2(half2 a, half2 b) { return {a.y, b.y}; }

// Computed in f32 and rounded to a half, which is as good as rounded once: 24 bits ≥ 2·11 + 2 (Figueroa 1995).
constexpr half __hadd(half a, half b) { return half(float(a) + float(b)); }
constexpr half __hsub(half a, half b) { return half(float(a) - float(b)); }
constexpr half __hmul(half a, half b) { return half(float(a) * float(b)); }
constexpr half __hdiv(half a, half b) { return half(float(a) / float(b)); }
constexpr half __hneg(half a) { return std::bit_cast<half>(static_cast<std::uint16_t>(a.bits ^ 0x8000)); }
constexpr half __habs(half a) { return std::bit_cast<half>(static_cast<std::uint16_t>(a.bits & 0x7fff)); }

constexpr bool __hisnan(half a) { return (a.bits & 0x7fff) > 0x7c00; }
constexpr int __hisinf(half a) { return a.bits == 0x7c00 ? 1 : a.bits == 0xfc00 ? -1 : 0; }
constexpr bool __heq(half a, half b) { return float(a) == float(b); }
constexpr bool __hne(half a, half b) { return float(a) < float(b) || float(a) > float(b); }
constexpr bool __hlt(half a, half b) { return float(a) < float(b); }
constexpr bool __hle(half a, half b) { return float(a) <= float(b); }
constexpr bool __hgt(half a, half b) { return float(a) > float(b); }
constexpr bool __hge(half a, half b) { return float(a) >= float(b); }

// A NaN loses against a number, except in the functions that say so; +0 is larger than −0.
constexpr half __hmax(half a, half b) {
  if (__hisnan(a)) return b;
  if (__hisnan(b)) return a;
  return float(a) > float(b) || (float(a) == float(b) && !(a.bits & 0x8000)) ? a : b;
}
constexpr half __hmin(half a, half b) {
  if (__hisnan(a)) return b;
  if (__hisnan(b)) return a;
  return float(a) < float(b) || (float(a) == float(b) && (a.bits & 0x8000)) ? a : b;
}
constexpr half __hmax_nan(half a, half b) { return __hisnan(a) || __hisnan(b) ? __ushort_as_half(0x7fff) : __hmax(a, b); }
constexpr half __hmin_nan(half a, half b) { return __hisnan(a) || __hisnan(b) ? __ushort_as_half(0x7fff) : __hmin(a, b); }

/** a·b + c, rounded once. The product is exact in f64; the sum is rounded to odd there, so that the second rounding does no harm. */
inline half __hfma(half a, half b, half c) {
  const double product = double(float(a)) * double(float(b)), addend = double(float(c));
  const double sum = product + addend;
  if (!std::isfinite(sum)) return half(static_cast<float>(sum));
  const double part = sum - product, error = (product - (sum - part)) + (addend - part);  // Knuth's two-sum
  std::uint64_t bits = std::bit_cast<std::uint64_t>(sum);
  if (error != 0 && (bits & 1) == 0) bits += (error > 0) == (sum > 0) ? 1 : -1;
  // to f32, to odd again: f32 has at least two bits more than a half everywhere
  const double odd = std::bit_cast<double>(bits);
  const float near = static_cast<float>(odd);
  std::uint32_t near_bits = std::bit_cast<std::uint32_t>(near);
  if (double(near) != odd && (near_bits & 1) == 0) near_bits += (std::fabs(odd) > std::fabs(double(near))) ? 1 : -1;
  return half(std::bit_cast<float>(near_bits));
}

constexpr half2 __hadd2(half2 a, half2 b) { return {__hadd(a.x, b.x), __hadd(a.y, b.y)}; }
constexpr half2 __hsub2(half2 a, half2 b) { return {__hsub(a.x, b.x), __hsub(a.y, b.y)}; }
constexpr half2 __hmul2(half2 a, half2 b) { return {__hmul(a.x, b.x), __hmul(a.y, b.y)}; }
constexpr half2 __h2div(half2 a, half2 b) { return {__hdiv(a.x, b.x), __hdiv(a.y, b.y)}; }
constexpr half2 __hneg2(half2 a) { return {__hneg(a.x), __hneg(a.y)}; }
constexpr half2 __habs2(half2 a) { return {__habs(a.x), __habs(a.y)}; }
constexpr half2 __hmax2(half2 a, half2 b) { return {__hmax(a.x, b.x), __hmax(a.y, b.y)}; }
constexpr half2 __hmin2(half2 a, half2 b) { return {__hmin(a.x, b.x), __hmin(a.y, b.y)}; }
constexpr half2 __hmax2_nan(half2 a, half2 b) { return {__hmax_nan(a.x, b.x), __hmax_nan(a.y, b.y)}; }
constexpr half2 __hmin2_nan(half2 a, half2 b) { return {__hmin_nan(a.x, b.x), __hmin_nan(a.y, b.y)}; }
inline half2 __hfma2(half2 a, half2 b, half2 c) { return {__hfma(a.x, b.x, c.x), __hfma(a.y, b.y, c.y)}; }
constexpr half2 __hisnan2(half2 a) { return {half(__hisnan(a.x) ? 1.0f : 0.0f), half(__hisnan(a.y) ? 1.0f : 0.0f)}; }

constexpr half operator+(half a, half b) { return __hadd(a, b); }
constexpr half operator-(half a, half b) { return __hsub(a, b); }
constexpr half operator*(half a, half b) { return __hmul(a, b); }
constexpr half operator/(half a, half b) { return __hdiv(a, b); }
constexpr half operator-(half a) { return __hneg(a); }
constexpr half& operator+=(half& a, half b) { return a = a + b; }
constexpr half& operator-=(half& a, half b) { return a = a - b; }
constexpr half& operator*=(half& a, half b) { return a = a * b; }
constexpr half& operator/=(half& a, half b) { return a = a / b; }
constexpr bool operator==(half a, half b) { return __heq(a, b); }
constexpr bool operator!=(half a, half b) { return !__heq(a, b); }
constexpr bool operator<(half a, half b) { return __hlt(a, b); }
constexpr bool operator<=(half a, half b) { return __hle(a, b); }
constexpr bool operator>(half a, half b) { return __hgt(a, b); }
constexpr bool operator>=(half a, half b) { return __hge(a, b); }
constexpr half2 operator+(half2 a, half2 b) { return __hadd2(a, b); }
constexpr half2 operator-(half2 a, half2 b) { return __hsub2(a, b); }
constexpr half2 operator*(half2 a, half2 b) { return __hmul2(a, b); }
