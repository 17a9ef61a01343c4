// The register tile of a product of matrices of words: R rows of x, all one pitch apart, times Q vectors of columns of w.
#include <utility>

#include "core/simd/common.inl"

namespace tvn::TVN_ISA {
namespace {

/** As many rows as leave registers for the weights and for x. */
constexpr int most_matrix_rows(int64_t vectors) { return static_cast<int>(smaller(15, (registers - 1 - vectors) / vectors)); }

struct MatrixTile {
  const float* x;
  int64_t x_pitch;
  int64_t terms;   // of a sum, in words
  const float* w;  // terms × Q vectors
  float* y;
  int64_t y_pitch;
  Prefetch ahead;
};

/** y = x·w. */
template <int R, int Q>
void matrix_tile(const MatrixTile& a) {
  constexpr uintptr_t weights_ahead = 8 << 10;  // bytes: they stream through, from far behind L1
  Vec sum[R][Q];
  unroll<R>([&](auto r) TVN_INLINE { unroll<Q>([&](auto q) TVN_INLINE { sum[r][q] = zero(); }); });
  // a pointer for every third row: the others are an index register away
  constexpr int pointers = (R + 2) / 3;
  const float* row[pointers];
  unroll<pointers>([&](auto i) TVN_INLINE { row[i] = a.x + 3 * i * a.x_pitch; });
  const float* w = a.w;
  const float* const end = w + a.terms * Q * lanes;
  Prefetch ahead = a.ahead;
#pragma GCC unroll 2
  for (; w < end; w += Q * lanes) {
    ahead.next();
    Vec b[Q];
    unroll<Q>([&](auto q) TVN_INLINE {
      b[q] = load(w + q * lanes);
      if (q * lanes % 16 == 0)
        __builtin_prefetch(reinterpret_cast<const void*>(reinterpret_cast<uintptr_t>(w + q * lanes) + weights_ahead));
    });
    unroll<R>([&](auto r) TVN_INLINE {
      const Vec x = broadcast(row[r / 3][r % 3 * a.x_pitch]);
      unroll<Q>([&](auto q) TVN_INLINE { sum[r][q] = multiply_add(x, b[q], sum[r][q]); });
    });
    unroll<pointers>([&](auto i) TVN_INLINE { row[i]++; });
  }
  float* y = a.y;
  unroll<R>([&](auto r) TVN_INLINE {
    unroll<Q>([&](auto q) TVN_INLINE { store(y + q * lanes, sum[r][q]); });
    y += a.y_pitch;
  });
}

template <int Q, int... R>
constexpr auto* matrix_tile_of(int64_t rows, std::integer_sequence<int, R...>) {
  constexpr void (*table[])(const MatrixTile&) = {matrix_tile<R + 1, Q>...};
  return table[rows - 1];
}
/** `vectors` is 1 or 2. */
inline auto* matrix_tile_of(int64_t rows, int64_t vectors) {
  return vectors == 1 ? matrix_tile_of<1>(rows, std::make_integer_sequence<int, most_matrix_rows(1)>{})
                      : matrix_tile_of<2>(rows, std::make_integer_sequence<int, most_matrix_rows(2)>{});
}

}  // namespace
}  // namespace tvn::TVN_ISA
