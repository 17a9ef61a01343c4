// Vector bodies of the elementwise functions.
#include "core/simd/math.inl"
#include "core/simd/stream.inl"
#include "kernels/elementwise/elementwise_reference.h"

namespace tvn::TVN_ISA {
namespace {

/** NaN is the second operand of every max and min. */
template <Unary function>
TVN_INLINE inline Vec apply(Vec x) {
  const Vec one = broadcast(1);
  if constexpr (function == Unary::neg) return negate(x);
  if constexpr (function == Unary::abs) return absolute(x);
  if constexpr (function == Unary::square) return x * x;
  if constexpr (function == Unary::sqrt) return sqrt(x);
  if constexpr (function == Unary::rsqrt) return one / sqrt(x);
  if constexpr (function == Unary::reciprocal) return one / x;
  if constexpr (function == Unary::exp) return exp(x);
  if constexpr (function == Unary::sigmoid) return sigmoid(x);
  if constexpr (function == Unary::relu) return relu(x);
  if constexpr (function == Unary::relu6) return min(broadcast(6), relu(x));
  if constexpr (function == Unary::step) return select(is_nan(x), x, select(greater(x, zero()), one, zero()));
}

template <Binary function>
TVN_INLINE inline Vec apply(Vec a, Vec b) {
  if constexpr (function == Binary::add) return a + b;
  if constexpr (function == Binary::sub) return a - b;
  if constexpr (function == Binary::mul) return a * b;
  if constexpr (function == Binary::div) return a / b;
  if constexpr (function == Binary::squared_difference) return (a - b) * (a - b);
}

template <Unary f>
struct UnaryConstant {
  static constexpr Unary value = f;
};
template <Binary f>
struct BinaryConstant {
  static constexpr Binary value = f;
};

/** Calls f with the function as a constant. */
template <class F>
void with_constant(Unary function, const F& f) {
  switch (function) {
#define TVN_CASE(name) \
  case Unary::name: return f(UnaryConstant<Unary::name>{});
    TVN_UNARY(TVN_CASE)
#undef TVN_CASE
  }
}
template <class F>
void with_constant(Binary function, const F& f) {
  switch (function) {
#define TVN_CASE(name) \
  case Binary::name: return f(BinaryConstant<Binary::name>{});
    TVN_BINARY(TVN_CASE)
#undef TVN_CASE
  }
}

/** Elements [begin, end) of a row, where an operand is one number or as long as the row. */
template <Binary function>
void binary_row(const float* a, bool one_a, const float* b, bool one_b, float* y, int64_t begin, int64_t end) {
  const auto loop = [&](const auto& of_a, const auto& of_b) {
    for_vectors(begin, end, [&](int64_t i, auto mask) { store(y + i, apply<function>(of_a(i, mask), of_b(i, mask)), mask); });
  };
  const auto each = [](const float* p) { return [p](int64_t i, auto mask) { return load(p + i, mask); }; };
  const auto same = [](const float* p) { return [v = tvn::TVN_ISA::broadcast(*p)](int64_t, auto) { return v; }; };
  if (one_a)
    one_b ? loop(same(a), same(b)) : loop(same(a), each(b));
  else
    one_b ? loop(each(a), same(b)) : loop(each(a), each(b));
}

/** Where the operands' parts that belong to the row-th row of y begin. */
struct RowStart {
  int64_t a, b;
};
inline RowStart row_start(const Broadcast& s, int64_t row) {
  RowStart at{0, 0};
  for (int i = s.axes - 2; i >= 0; i--) {
    const std::size_t axis = static_cast<std::size_t>(i);
    const int64_t index = row % s.extent[axis];
    row /= s.extent[axis];
    at.a += index * s.a[axis];
    at.b += index * s.b[axis];
  }
  return at;
}

/** An operand with one value for every channel of all rows. */
inline bool per_channel(const Broadcast& s, const std::array<int64_t, Broadcast::most_axes>& stride) {
  return s.axes == 2 && stride[0] == 0 && stride[1] == 1;
}
inline bool dense(const Broadcast& s, const std::array<int64_t, Broadcast::most_axes>& stride) {
  return s.axes == 2 && stride[0] == s.extent[1] && stride[1] == 1;
}

/** y = f(x, values) or f(values, x) for [rows, C] and [C]: narrow rows make whole vectors together. */
template <Binary function, bool values_first>
void binary_channels(const Broadcast& s, const float* x, const float* values, float* y, ThreadPool& pool) {
  const int64_t channels = s.extent[1];
  split(s.extent[0], 1, channels, pool, [&](int64_t begin, int64_t end) {
    const Rows rows{end - begin, channels, channels};
    alignas(64) float storage[tile_capacity];
    const float* tile = repeat(rows, values, storage);
    const float* from = x + begin * channels;
    float* to = y + begin * channels;
    for_each_tile_vector<1>(rows, [=](int64_t i, int64_t p, auto mask, auto) {
      const Vec v = load(tile + p, mask), e = load(from + i, mask);
      store(to + i, values_first ? apply<function>(v, e) : apply<function>(e, v), mask);
    });
  });
}

template <Comparison f>
struct ComparisonConstant {
  static constexpr Comparison value = f;
};
template <class F>
void with_constant(Comparison function, const F& f) {
  switch (function) {
#define TVN_CASE(name) \
  case Comparison::name: return f(ComparisonConstant<Comparison::name>{});
    TVN_COMPARISON(TVN_CASE)
#undef TVN_CASE
  }
}

template <Comparison function>
TVN_INLINE inline bool holds(float a, float b) {
  if constexpr (function == Comparison::greater) return a > b;
  if constexpr (function == Comparison::greater_equal) return a >= b;
  if constexpr (function == Comparison::less) return a < b;
  if constexpr (function == Comparison::less_equal) return a <= b;
  if constexpr (function == Comparison::equal) return a == b;
  if constexpr (function == Comparison::not_equal) return a != b;
}

}  // namespace

// Loops over bytes that the compiler makes vectors of.

void compare(int64_t size, const CompareArgs& args, ThreadPool& pool) {
  with_constant(args.function, [&](auto function) {
    with_flag(args.one_a, [&](auto one_a) {
      with_flag(args.one_b, [&](auto one_b) {
        split(size, pool, [&](int64_t begin, int64_t end) {
          const float* __restrict a = args.a, * __restrict b = args.b, first_a = *a, first_b = *b;
          uint8_t* __restrict y = args.y;
          for (int64_t i = begin; i < end; i++) y[i] = holds<function.value>(one_a.value ? first_a : a[i], one_b.value ? first_b : b[i]);
        });
      });
    });
  });
}

uint64_t fingerprint(const float* x, int64_t size) {
  using reference::fingerprint_factor;
  using reference::fingerprint_lanes;
  uint32_t h[fingerprint_lanes] = {};
  const int64_t whole = size / fingerprint_lanes * fingerprint_lanes;
  for (int64_t i = 0; i < whole; i += fingerprint_lanes) {
    uint32_t words[fingerprint_lanes];
    std::memcpy(words, x + i, sizeof words);
    for (int k = 0; k < fingerprint_lanes; k++) h[k] = (h[k] ^ words[k]) * fingerprint_factor + 1;
  }
  for (int64_t i = whole; i < size; i++) {
    uint32_t word;
    std::memcpy(&word, x + i, sizeof word);
    h[i - whole] = (h[i - whole] ^ word) * fingerprint_factor + 1;
  }
  return reference::fingerprint_of_lanes(h, size);
}

void select(int64_t size, const SelectArgs& args, ThreadPool& pool) {
  split(size, pool, [&](int64_t begin, int64_t end) {
    const uint8_t* __restrict condition = args.condition;
    const float *a = args.a, *b = args.b;
    float* y = args.y;
    for (int64_t i = begin; i < end; i++) {
      const float if_true = a[i], if_false = b[i];
      y[i] = condition[i] ? if_true : if_false;
    }
  });
}

void clip(int64_t size, const ClipArgs& args, ThreadPool& pool) {
  const Vec low = broadcast(args.low), high = broadcast(args.high);
  split(size, pool, [&](int64_t begin, int64_t end) {
    const float* x = args.x;
    float* y = args.y;
    for_vectors(begin, end, [=](int64_t i, auto mask) { store(y + i, min(high, max(low, load(x + i, mask))), mask); });
  });
}

void unary(int64_t size, const UnaryArgs& args, ThreadPool& pool) {
  with_constant(args.function, [&](auto function) {
    split(size, pool, [&](int64_t begin, int64_t end) {
      const float* x = args.x;
      float* y = args.y;
      for_vectors(begin, end, [=](int64_t i, auto mask) { store(y + i, apply<function.value>(load(x + i, mask)), mask); });
    });
  });
}

void binary(const Broadcast& s, const BinaryArgs& args, ThreadPool& pool) {
  with_constant(args.function, [&](auto function) {
    if (dense(s, s.a) && per_channel(s, s.b)) return binary_channels<function.value, false>(s, args.a, args.b, args.y, pool);
    if (dense(s, s.b) && per_channel(s, s.a)) return binary_channels<function.value, true>(s, args.b, args.a, args.y, pool);
    const std::size_t last = static_cast<std::size_t>(s.axes - 1);
    const int64_t width = s.extent[last], rows = s.size() / width;
    const bool one_a = s.a[last] == 0, one_b = s.b[last] == 0;
    if (rows == 1)
      return split(width, pool,
                   [&](int64_t begin, int64_t end) { binary_row<function.value>(args.a, one_a, args.b, one_b, args.y, begin, end); });
    split(rows, 1, width, pool, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; row++) {
        const RowStart at = row_start(s, row);
        binary_row<function.value>(args.a + at.a, one_a, args.b + at.b, one_b, args.y + row * width, 0, width);
      }
    });
  });
}

}  // namespace tvn::TVN_ISA
