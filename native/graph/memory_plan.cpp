#include "graph/memory_plan.h"

#include <algorithm>
#include <numeric>

#include "core/buffer.h"

namespace tvn {

MemoryPlan plan_memory(const std::vector<Lifetime>& lifetimes) {
  MemoryPlan plan{std::vector<std::size_t>(lifetimes.size()), 0};
  std::vector<std::size_t> order(lifetimes.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return lifetimes[a].bytes > lifetimes[b].bytes; });

  std::vector<std::size_t> placed;  // in order of offset
  for (const std::size_t i : order) {
    const Lifetime& block = lifetimes[i];
    const std::size_t bytes = round_up(block.bytes, cache_line);
    std::size_t end = 0, best = 0, best_gap = static_cast<std::size_t>(-1);
    for (const std::size_t j : placed) {
      const Lifetime& other = lifetimes[j];
      if (other.last < block.first || block.last < other.first) continue;
      if (plan.offsets[j] >= end + bytes && plan.offsets[j] - end < best_gap) {
        best = end;
        best_gap = plan.offsets[j] - end;
      }
      end = std::max(end, plan.offsets[j] + round_up(other.bytes, cache_line));
    }
    plan.offsets[i] = best_gap == static_cast<std::size_t>(-1) ? end : best;
    plan.bytes = std::max(plan.bytes, plan.offsets[i] + bytes);
    placed.insert(
        std::upper_bound(placed.begin(), placed.end(), i, [&](std::size_t a, std::size_t b) { return plan.offsets[a] < plan.offsets[b]; }),
        i);
  }
  return plan;
}

}  // namespace tvn
