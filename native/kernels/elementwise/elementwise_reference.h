// Reference kernels of elementwise functions.
#pragma once

#include <bit>
#include <cmath>

#include "kernels/elementwise/elementwise.h"

namespace tvn::reference {

template <class Real>
Real apply(Unary function, Real x) {
  const auto relu = [](Real v) { return v > 0 || std::isnan(v) ? v : Real(0); };
  switch (function) {
    case Unary::neg: return -x;
    case Unary::abs: return std::fabs(x);
    case Unary::square: return x * x;
    case Unary::sqrt: return std::sqrt(x);
    case Unary::rsqrt: return 1 / std::sqrt(x);
    case Unary::reciprocal: return 1 / x;
    case Unary::exp: return std::exp(x);
    case Unary::sigmoid: return 1 / (1 + std::exp(-x));
    case Unary::relu: return relu(x);
    case Unary::relu6: return x > 6 ? Real(6) : relu(x);
    case Unary::step: return std::isnan(x) ? x : Real(x > 0);
  }
  return x;
}

template <class Real>
Real apply(Binary function, Real a, Real b) {
  switch (function) {
    case Binary::add: return a + b;
    case Binary::sub: return a - b;
    case Binary::mul: return a * b;
    case Binary::div: return a / b;
    case Binary::squared_difference: return (a - b) * (a - b);
  }
  return a;
}

template <class Real>
bool apply(Comparison function, Real a, Real b) {
  switch (function) {
    case Comparison::greater: return a > b;
    case Comparison::greater_equal: return a >= b;
    case Comparison::less: return a < b;
    case Comparison::less_equal: return a <= b;
    case Comparison::equal: return a == b;
    case Comparison::not_equal: return a != b;
  }
  return false;
}

/** Lanes of 32 bits, each step of which can be undone; whatever changes one element changes its lane. */
constexpr int fingerprint_lanes = 64;
constexpr uint32_t fingerprint_factor = 0x9e3779b1u;
/** Never a function of its own: vector bodies use it too, and the linker must not keep a copy with their instructions. */
__attribute__((always_inline)) inline uint64_t fingerprint_of_lanes(const uint32_t (&lanes)[fingerprint_lanes], int64_t size) {
  uint64_t h = static_cast<uint64_t>(size);
  for (const uint32_t lane : lanes) h = ((h ^ lane) * 0x9e3779b97f4a7c15u) ^ (h >> 29);
  return h;
}
inline uint64_t fingerprint(const float* x, int64_t size) {
  uint32_t lanes[fingerprint_lanes] = {};
  for (int64_t i = 0; i < size; i++) {
    uint32_t& lane = lanes[i % fingerprint_lanes];
    lane = (lane ^ std::bit_cast<uint32_t>(x[i])) * fingerprint_factor + 1;
  }
  return fingerprint_of_lanes(lanes, size);
}

inline void compare(int64_t size, const CompareArgs& k) {
  for (int64_t i = 0; i < size; i++) k.y[i] = apply(k.function, k.a[k.one_a ? 0 : i], k.b[k.one_b ? 0 : i]);
}
inline void select(int64_t size, const SelectArgs& k) {
  for (int64_t i = 0; i < size; i++) k.y[i] = k.condition[i] ? k.a[i] : k.b[i];
}
inline void clip(int64_t size, const ClipArgs& k) {
  for (int64_t i = 0; i < size; i++) k.y[i] = k.x[i] < k.low ? k.low : k.x[i] > k.high ? k.high : k.x[i];
}

template <class Real>
void unary(int64_t size, Unary function, const Real* x, Real* y) {
  for (int64_t i = 0; i < size; i++) y[i] = apply(function, x[i]);
}

template <class Real>
void binary(const Broadcast& shape, Binary function, const Real* a, const Real* b, Real* y) {
  const int64_t size = shape.size();
  for (int64_t i = 0; i < size; i++) {
    int64_t rest = i, at_a = 0, at_b = 0;
    for (int k = shape.axes - 1; k >= 0; k--) {
      const auto axis = static_cast<std::size_t>(k);
      const int64_t index = rest % shape.extent[axis];
      rest /= shape.extent[axis];
      at_a += index * shape.a[axis];
      at_b += index * shape.b[axis];
    }
    y[i] = apply(function, a[at_a], b[at_b]);
  }
}

}  // namespace tvn::reference
