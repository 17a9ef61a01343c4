#include "core/thread_pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace tvn {
namespace {

TEST(ThreadPool, RunsEveryTaskOnceInContiguousRanges) {
  for (const int threads : {1, 2, 3, 5}) {
    ThreadPool pool(threads);
    for (const int64_t tasks : {0, 1, 2, 3, 4, 7, 64, 1001}) {
      SCOPED_TRACE(testing::Message() << threads << " threads, " << tasks << " tasks");
      std::vector<int> runs(static_cast<size_t>(tasks), 0), thread_of(static_cast<size_t>(tasks), -1);
      pool.run(tasks, [&](int64_t task, int thread) {
        runs[static_cast<size_t>(task)]++;
        thread_of[static_cast<size_t>(task)] = thread;
      });
      for (size_t i = 0; i < runs.size(); i++) {
        ASSERT_EQ(runs[i], 1) << "task " << i;
        ASSERT_GE(thread_of[i], 0);
        ASSERT_LT(thread_of[i], threads);
        ASSERT_LE(thread_of[i == 0 ? 0 : i - 1], thread_of[i]) << "ranges are contiguous";
      }
    }
  }
}

TEST(ThreadPool, WritesOfATaskAreVisibleAfterRun) {
  ThreadPool pool(3);
  std::vector<int64_t> sums(64, 0);
  for (int64_t round = 1; round <= 5000; round++) {
    pool.run(64, [&](int64_t task, int) { sums[static_cast<size_t>(task)] += round; });
    for (const int64_t sum : sums) ASSERT_EQ(sum, round * (round + 1) / 2);
  }
}

TEST(ThreadPool, WakesParkedThreads) {
  ThreadPool pool(2);
  for (int i = 0; i < 20; i++) {
    const timespec pause{0, 1'000'000};  // 1 ms: long past the spinning
    nanosleep(&pause, nullptr);
    int ran[2] = {0, 0};
    pool.run(2, [&](int64_t task, int) { ran[task] = 1; });
    ASSERT_EQ(ran[0] + ran[1], 2);
  }
}

TEST(ThreadPool, PinsAndUnpins) {
  ThreadPool pool(2);
  const auto cores = [&] {
    int count[2] = {0, 0};
    pool.run(2, [&](int64_t task, int) {
      cpu_set_t set;
      if (sched_getaffinity(0, sizeof set, &set) == 0) count[task] = CPU_COUNT(&set);
    });
    return std::pair(count[0], count[1]);
  };
  const auto before = cores();
  {
    const PinnedThread pinned(0);
    pool.pin(0);
    EXPECT_EQ(cores().first, 1);
    EXPECT_LE(cores().second, std::max(1, before.second - 1)) << "core 1 alone, where the process may use it";
  }
  pool.unpin();
  EXPECT_EQ(cores(), before);
}

}  // namespace
}  // namespace tvn
