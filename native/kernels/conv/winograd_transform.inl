// Winograd's minimal filtering F(M, R) in one dimension (Lavin and Gray, arXiv 1509.09308): M outputs of a filter with R taps from
// N = M + R − 1 products, y = Aᵀ[(G g) ⊙ (Bᵀ d)]. The matrices follow from N − 1 interpolation points and infinity (Toom–Cook); the
// compiler computes them and unrolls the transforms, in which points ±p share their work.
#include "core/simd/common.inl"

namespace tvn::TVN_ISA {
namespace {

/** The finite points for N products: 0 first where their number is odd, then pairs. Chosen for small rounding errors: large points amplify
 * them. */
template <int N>
constexpr double points[N - 1] = {};
template <>
constexpr double points<4>[] = {0, 1, -1};
template <>
constexpr double points<5>[] = {1. / 2, -1. / 2, 5. / 4, -5. / 4};
template <>
constexpr double points<6>[] = {0, 5. / 8, -5. / 8, 3. / 2, -3. / 2};
template <>
constexpr double points<7>[] = {1. / 4, -1. / 4, 7. / 8, -7. / 8, 7. / 4, -7. / 4};
template <>
constexpr double points<8>[] = {0, 1, -1, 2, -2, 1. / 2, -1. / 2};

template <int Outputs, int Taps>
struct Filtering {
  static constexpr int outputs = Outputs, taps = Taps, products = Outputs + Taps - 1;
  static constexpr int first_pair = (products - 1) % 2, pairs = (products - 1) / 2;
};

template <class F>
struct Matrices {
  double bt[F::products][F::products] = {}, g[F::products][F::taps] = {}, at[F::outputs][F::products] = {};
};

template <class F>
constexpr Matrices<F> make_matrices() {
  Matrices<F> m;
  constexpr int last = F::products - 1;
  constexpr const double* at = points<F::products>;
  for (int i = 0; i <= last; i++) {
    // Bᵀ: the coefficients of Π (x − p) over the points but the i-th; for infinity over all
    m.bt[i][0] = 1;
    int degree = 0;
    double scale = 1, power = 1;
    for (int j = 0; j < last; j++) {
      if (j == i) continue;
      degree++;
      for (int k = degree; k >= 0; k--) m.bt[i][k] = (k > 0 ? m.bt[i][k - 1] : 0) - at[j] * m.bt[i][k];
      if (i < last) scale *= at[i] - at[j];
    }
    for (int k = 0; k < F::taps || k < F::outputs; k++) {
      if (k < F::taps) m.g[i][k] = i < last ? power / scale : k == F::taps - 1;
      if (k < F::outputs) m.at[k][i] = i < last ? power : k == F::outputs - 1;
      if (i < last) power *= at[i];
    }
  }
  return m;
}
template <class F>
constexpr Matrices<F> matrices = make_matrices<F>();

/** Σ coefficient(j)·x[j] over N terms known to the compiler; those with coefficient 0 are left out. */
template <int N, class Coefficient>
TVN_INLINE inline Vec combine(const Vec* x, Coefficient) {
  Vec sum = zero();
  bool begun = false;
  unroll<N>([&](auto j) TVN_INLINE {
    constexpr double c = Coefficient{}(j);
    if constexpr (c != 0) {
      if (!begun)
        sum = c == 1 ? x[j] : c == -1 ? zero() - x[j] : broadcast(static_cast<float>(c)) * x[j];
      else
        sum = c == 1 ? sum + x[j] : c == -1 ? sum - x[j] : fma(broadcast(static_cast<float>(c)), x[j], sum);
      begun = true;
    }
  });
  return sum;
}

/** y = Bᵀ x. */
template <class F>
TVN_INLINE inline void transform_input(const Vec* x, Vec* y) {
  constexpr int n = F::products;
  if constexpr (F::first_pair == 1) y[0] = combine<n>(x, [](int j) { return matrices<F>.bt[0][j]; });
  unroll<F::pairs>([&](auto pair) TVN_INLINE {
    constexpr int i = F::first_pair + 2 * pair;
    const Vec equal = combine<n>(x, [](int j) { return (matrices<F>.bt[i][j] + matrices<F>.bt[i + 1][j]) / 2; });
    const Vec opposite = combine<n>(x, [](int j) { return (matrices<F>.bt[i][j] - matrices<F>.bt[i + 1][j]) / 2; });
    y[i] = equal + opposite;
    y[i + 1] = equal - opposite;
  });
  y[n - 1] = combine<n>(x, [](int j) { return matrices<F>.bt[F::products - 1][j]; });
}

/** y = G x. */
template <class F>
TVN_INLINE inline void transform_filter(const Vec* x, Vec* y) {
  unroll<F::products>([&](auto i) TVN_INLINE {
    constexpr int row = i;
    y[row] = combine<F::taps>(x, [](int j) { return matrices<F>.g[row][j]; });
  });
}

/** y = Aᵀ x. */
template <class F>
TVN_INLINE inline void transform_output(const Vec* x, Vec* y) {
  constexpr int n = F::products;
  Vec sums[n];  // of a pair: x + x′ where both have the same power of the point, x − x′ in the next element
  if constexpr (F::first_pair == 1) sums[0] = x[0];
  unroll<F::pairs>([&](auto pair) TVN_INLINE {
    constexpr int i = F::first_pair + 2 * pair;
    sums[i] = x[i] + x[i + 1];
    sums[i + 1] = x[i] - x[i + 1];
  });
  sums[n - 1] = x[n - 1];
  unroll<F::outputs>([&](auto k) TVN_INLINE {
    constexpr int row = k;
    y[row] = combine<n>(sums, [](int i) {
      const bool in_pair = i >= F::first_pair && i < F::products - 1, second = in_pair && (i - F::first_pair) % 2 == 1;
      return in_pair && second != (row % 2 == 1) ? 0 : matrices<F>.at[row][second ? i - 1 : i];
    });
  });
}

}  // namespace
}  // namespace tvn::TVN_ISA
