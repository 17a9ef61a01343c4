// Strassen's algorithm in Winograd's form: the product of two matrices cut into halves both ways, C = A·B, from 7 products of such
// parts instead of 8 and 15 sums; done L times over, 7^L products instead of 8^L. Weights are summed when they are packed.
//
// Higham (Exact Computation, Accuracy and Stability of Numerical Algorithms, 2nd ed., §23.2.2) bounds its error: each level multiplies
// it by a small constant, relative to the largest elements of A and B, not element by element.
#include "core/simd/common.inl"

namespace tvn::TVN_ISA {
namespace {

constexpr int power(int base, int exponent) { return exponent == 0 ? 1 : base * power(base, exponent - 1); }

/** A matrix is cut into `parts` × `parts`. */
template <int L>
struct Strassen {
  static constexpr int levels = L, parts = power(2, L), products = power(7, L);
};

struct LeftSide {
  TVN_INLINE static void combine(Vec a, Vec b, Vec c, Vec d, Vec (&s)[7]) {  // the parts by rows
    const Vec sum = c + d, most = sum - a;
    s[0] = a, s[1] = b, s[2] = b - most, s[3] = d, s[4] = sum, s[5] = most, s[6] = a - c;
  }
};
struct RightSide {
  TVN_INLINE static void combine(Vec a, Vec b, Vec c, Vec d, Vec (&t)[7]) {
    const Vec difference = b - a, most = d - difference;
    t[0] = a, t[1] = c, t[2] = d, t[3] = most - c, t[4] = difference, t[5] = most, t[6] = d - b;
  }
};

/** The factors of all products, as take(Index, Vec), from the parts by rows. */
template <class Side, int L, class Take>
TVN_INLINE inline void strassen_split(const Vec (&parts)[power(4, L)], const Take& take) {
  if constexpr (L == 0) {
    take(Index<0>{}, parts[0]);
  } else {
    constexpr int half = power(2, L - 1), inner = power(7, L - 1);
    Vec factors[7][half * half];
    unroll<half * half>([&](auto i) TVN_INLINE {
      constexpr int at = i / half * 2 * half + i % half;
      Vec s[7];
      Side::combine(parts[at], parts[at + half], parts[at + 2 * half * half], parts[at + 2 * half * half + half], s);
      unroll<7>([&](auto j) TVN_INLINE { factors[j][i] = s[j]; });
    });
    unroll<7>([&](auto j) TVN_INLINE {
      strassen_split<Side, L - 1>(factors[j], [&](auto k, Vec v) TVN_INLINE { take(Index<j * inner + k>{}, v); });
    });
  }
}

/** The parts of C by rows from the products, given as product(Index). */
template <int L, class Product>
TVN_INLINE inline void strassen_merge(const Product& product, Vec (&parts)[power(4, L)]) {
  if constexpr (L == 0) {
    parts[0] = product(Index<0>{});
  } else {
    constexpr int half = power(2, L - 1), inner = power(7, L - 1);
    Vec p[7][half * half];
    unroll<7>([&](auto j) TVN_INLINE { strassen_merge<L - 1>([&](auto k) TVN_INLINE { return product(Index<j * inner + k>{}); }, p[j]); });
    unroll<half * half>([&](auto i) TVN_INLINE {
      constexpr int at = i / half * 2 * half + i % half;
      const Vec u = p[0][i] + p[5][i], v = u + p[6][i];
      parts[at] = p[0][i] + p[1][i];
      parts[at + half] = u + p[4][i] + p[2][i];
      parts[at + 2 * half * half] = v - p[3][i];
      parts[at + 2 * half * half + half] = v + p[4][i];
    });
  }
}

}  // namespace
}  // namespace tvn::TVN_ISA
