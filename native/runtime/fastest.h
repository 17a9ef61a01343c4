// Which of several ways to do the same is the fastest, found by doing it.
#pragma once

#include <algorithm>
#include <limits>
#include <numeric>
#include <optional>
#include <vector>

#include "core/clock.h"

namespace tvn {

/** A way must take so much less time than the usual one to be chosen; else noise would choose. */
constexpr double clearly_faster = 0.97;
/** A way that has taken so much longer than the fastest, twice, is not tried again. */
constexpr double hopelessly_slow = 1.06;
constexpr int most_rounds = 8;
constexpr int confirmations = 3;
/** What takes less is repeated, so that the clock does not matter. */
constexpr double least_seconds = 2e-4;

/**
 * Which of several ways is the fastest, where run(way, times) says how many seconds it took: way 0, the usual one, unless another is
 * clearly faster. They take turns, so that what disturbs one disturbs all, until `enough`; null where not even two rounds would be over by
 * `end`.
 */
template <class Run>
std::optional<size_t> fastest(size_t ways, const Run& run, Clock::time_point enough, Clock::time_point end) {
  std::vector<double> best(ways, std::numeric_limits<double>::infinity());
  std::vector<size_t> left(ways);
  std::iota(left.begin(), left.end(), 0);
  const double once = run(0, 1);
  const int times = static_cast<int>(std::clamp(least_seconds / once, 1.0, 1000.0));
  if (once * times * static_cast<double>(2 * ways) > -seconds_since(end)) return std::nullopt;
  for (int round = 0; round < most_rounds && left.size() > 1 && (round < 2 || Clock::now() < enough); round++) {
    for (const size_t way : left) best[way] = std::min(best[way], run(way, times) / times);
    if (round == 0) continue;
    const double least = *std::min_element(best.begin(), best.end());
    std::erase_if(left, [&](size_t way) { return way != 0 && best[way] > hopelessly_slow * least; });
  }
  const size_t first = static_cast<size_t>(std::min_element(best.begin(), best.end()) - best.begin());
  if (best[first] >= clearly_faster * best[0]) return 0;
  double usual = best[0], other = best[0];  // the first of many may owe it to chance: so once more
  for (int i = 0; i < confirmations; i++) {
    usual = std::min(usual, run(0, times) / times);
    other = std::min(other, run(first, times) / times);
  }
  return other < clearly_faster * usual ? first : 0;
}

}  // namespace tvn
