// When a computed tensor counts as right.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <span>
#include <vector>

namespace tvn::test {

/**
 * |got − want| <= factor · eps · sqrt(terms) · max(scale, |want|), eps = 2^−24 (f32).
 *
 * `terms` values of magnitude `scale` are summed: their rounding errors are independent, so they add like a random walk. An elementwise
 * result has one term. `factor` is the number of roundings a term sees, with room for the spread of the walk.
 */
struct Tolerance {
  double terms = 1;
  double scale = 1;
  double factor = 8;

  double at(double want) const { return factor * 0x1p-24 * std::sqrt(terms) * std::fmax(scale, std::fabs(want)); }
};

/** Compares with the f64 reference. NaN and infinities must come where they are wanted. Reports the worst element. */
inline void expect_close(std::span<const float> got, std::span<const double> want, const Tolerance& tolerance) {
  ASSERT_EQ(got.size(), want.size());
  double worst = 1;
  size_t at = got.size();
  for (size_t i = 0; i < got.size(); i++) {
    const double g = got[i], w = want[i];
    if (g == w || (std::isnan(g) && std::isnan(w))) continue;
    double excess = std::fabs(g - w) / tolerance.at(w);
    if (!(excess < std::numeric_limits<double>::infinity())) excess = std::numeric_limits<double>::infinity();
    if (excess > worst) {
      worst = excess;
      at = i;
    }
  }
  if (at < got.size())
    ADD_FAILURE() << "element " << at << " of " << got.size() << ": got " << got[at] << ", want " << want[at] << ", " << worst
                  << " times the tolerance of " << tolerance.at(want[at]);
}

/** The same bits, NaN included. */
inline void expect_same_bits(std::span<const float> got, std::span<const float> want) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); i++) {
    if (std::memcmp(&got[i], &want[i], sizeof(float)) == 0) continue;
    ADD_FAILURE() << "element " << i << " of " << got.size() << ": got " << got[i] << ", want the bits of " << want[i];
    return;
  }
}

/** The input of a reference in f64. */
inline std::vector<double> to_double(std::span<const float> x) { return {x.begin(), x.end()}; }

}  // namespace tvn::test
