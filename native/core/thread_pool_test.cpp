#include "core/thread_pool.h"

#include <gtest/gtest.h>

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

TEST(ThreadPool, PinsToTheNextCoresAroundTheLastAndUnpins) {
  ThreadPool pool(2);
  const auto cores = [&] {
    std::vector<cpu_set_t> sets(2);
    pool.run(2, [&](int64_t task, int) { sched_getaffinity(0, sizeof(cpu_set_t), &sets[static_cast<size_t>(task)]); });
    return sets;
  };
  const std::vector<cpu_set_t> before = cores();
  std::vector<size_t> allowed;
  for (size_t core = 0; core < CPU_SETSIZE; core++)
    if (CPU_ISSET(core, &before[0])) allowed.push_back(core);
  for (size_t i = 0; i < allowed.size(); i++) {
    pool.pin(static_cast<int>(allowed[i]));
    const std::vector<cpu_set_t> pinned = cores();
    EXPECT_TRUE(CPU_EQUAL(&pinned[0], &before[0])) << "the calling thread is left alone";
    EXPECT_EQ(CPU_COUNT(&pinned[1]), 1);
    EXPECT_TRUE(CPU_ISSET(allowed[(i + 1) % allowed.size()], &pinned[1])) << "after core " << allowed[i];
  }
  pool.unpin();
  EXPECT_TRUE(CPU_EQUAL(&cores()[1], &before[1]));
  const PinnedThread pinned(static_cast<int>(allowed.back()));
  EXPECT_EQ(CPU_COUNT(&cores()[0]), 1);
}

}  // namespace
}  // namespace tvn
