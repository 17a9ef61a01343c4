#include "graph/memory_plan.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "core/buffer.h"
#include "test/random.h"

namespace tvn {
namespace {

TEST(MemoryPlan, BlocksThatLiveTogetherNeverOverlap) {
  test::Random random;
  for (int round = 0; round < 200; round++) {
    std::vector<Lifetime> lifetimes(static_cast<size_t>(random.integer(0, 40)));
    for (Lifetime& l : lifetimes) {
      l.first = static_cast<int>(random.integer(0, 30));
      l.last = l.first + static_cast<int>(random.integer(0, 10));
      l.bytes = static_cast<size_t>(random.integer(0, 5000));
    }
    const MemoryPlan plan = plan_memory(lifetimes);
    ASSERT_EQ(plan.offsets.size(), lifetimes.size());
    for (size_t i = 0; i < lifetimes.size(); i++) {
      ASSERT_EQ(plan.offsets[i] % cache_line, 0u);
      ASSERT_LE(plan.offsets[i] + lifetimes[i].bytes, plan.bytes);
      for (size_t j = 0; j < i; j++) {
        const bool together = lifetimes[i].first <= lifetimes[j].last && lifetimes[j].first <= lifetimes[i].last;
        const bool apart =
            plan.offsets[i] + lifetimes[i].bytes <= plan.offsets[j] || plan.offsets[j] + lifetimes[j].bytes <= plan.offsets[i];
        ASSERT_TRUE(!together || apart) << "round " << round << ", blocks " << i << " and " << j;
      }
    }
  }
}

TEST(MemoryPlan, AChainNeedsItsTwoLargestNeighbours) {
  // a → b → c → d: two live at a time
  const MemoryPlan plan = plan_memory({{640, 0, 1}, {6400, 1, 2}, {640, 2, 3}, {3200, 3, 4}});
  EXPECT_EQ(plan.bytes, 7040u);
}

}  // namespace
}  // namespace tvn
