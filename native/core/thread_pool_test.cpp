#include "core/thread_pool.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <barrier>
#include <chrono>
#include <thread>
#include <vector>

namespace tvn {
namespace {

TEST(ThreadPool, RunsEveryTaskOnce) {
  for (const int threads : {1, 2, 3, 5}) {
    ThreadPool pool(threads);
    for (const int64_t tasks : {0, 1, 2, 3, 4, 7, 64, 1001}) {
      SCOPED_TRACE(testing::Message() << threads << " threads, " << tasks << " tasks");
      std::vector<std::atomic<int>> runs(static_cast<size_t>(tasks));
      std::atomic<bool> known{true};
      pool.run(tasks, [&](int64_t task, int thread) {
        runs[static_cast<size_t>(task)]++;
        if (thread < 0 || thread >= threads) known = false;
      });
      for (size_t i = 0; i < runs.size(); i++) ASSERT_EQ(runs[i], 1) << "task " << i;
      EXPECT_TRUE(known);
    }
  }
}

TEST(ThreadPool, OthersTakeOverWhatASlowThreadHasLeft) {
  ThreadPool pool(2);
  for (const int64_t slow : {0, 32}) {  // the first task of either thread
    std::atomic<int> done{0};
    std::atomic<bool> others_are_done{false};
    pool.run(64, [&](int64_t task, int) {
      if (task == slow) {
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
        while (done < 63 && std::chrono::steady_clock::now() < end) std::this_thread::yield();
        others_are_done = done == 63;
      }
      done++;
    });
    EXPECT_EQ(done, 64);
    EXPECT_TRUE(others_are_done) << "while task " << slow << " is running";
  }
}

std::atomic<bool> stopped{false}, is_stopped{false};
/** Stops the thread that gets the signal while `stopped` says so. */
void stop_here(int) {
  const timespec pause{0, 100'000};
  is_stopped = true;
  while (stopped) nanosleep(&pause, nullptr);
}

TEST(ThreadPool, DoesNotWaitForAThreadThatHasNotWokenUp) {
  ThreadPool pool(2);
  pthread_t worker{};
  std::barrier both(2);
  pool.run(2, [&](int64_t, int thread) {
    both.arrive_and_wait();
    if (thread == 1) worker = pthread_self();
  });
  struct sigaction before, stop{};
  stop.sa_handler = stop_here;
  sigaction(SIGUSR1, &stop, &before);
  stopped = true;
  pthread_kill(worker, SIGUSR1);
  while (!is_stopped) std::this_thread::yield();
  for (int i = 0; i < 100; i++) {
    int ran[3] = {0, 0, 0};
    pool.run(3, [&](int64_t task, int) { ran[task]++; });
    EXPECT_EQ(ran[0] + ran[1] + ran[2], 3);
  }
  EXPECT_TRUE(stopped);
  stopped = false;
  pool.run(2, [&](int64_t, int) { both.arrive_and_wait(); });  // it helps again
  sigaction(SIGUSR1, &before, nullptr);
}

TEST(ThreadPool, WritesOfATaskAreVisibleAfterRun) {
  ThreadPool pool(3);
  std::vector<int64_t> sums(64, 0);
  for (int64_t round = 1; round <= 5000; round++) {
    pool.run(64, [&](int64_t task, int) { sums[static_cast<size_t>(task)] += round; });
    for (const int64_t sum : sums) ASSERT_EQ(sum, round * (round + 1) / 2);
  }
}

TEST(ThreadPool, WakesTheCallerThatIsParked) {
  ThreadPool pool(3);
  const timespec pause{0, 1'000'000};  // 1 ms: long past the spinning
  std::barrier all(3);
  for (int i = 0; i < 20; i++) {
    std::atomic<int> slept{0};
    pool.run(3, [&](int64_t, int thread) {
      all.arrive_and_wait();
      for (int j = 0; j < thread; j++, slept++) nanosleep(&pause, nullptr);
    });
    ASSERT_EQ(slept, 1 + 2);
  }
}

TEST(ThreadPool, ManyShortRunsWithLateHelpers) {
  for (const int threads : {2, 3}) {
    ThreadPool pool(threads);
    std::atomic<int64_t> sum{0};
    int64_t want = 0;
    for (int64_t i = 0; i < 20000; i++) {
      const timespec pause{0, 1000};
      if (i % 50 == 0) nanosleep(&pause, nullptr);  // some helpers park
      pool.run(3, [&](int64_t task, int) { sum += task * i; });
      want += 3 * i;
      ASSERT_EQ(sum, want);
    }
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
    std::barrier both(2);  // so that neither thread runs both tasks
    pool.run(2, [&](int64_t, int thread) {
      both.arrive_and_wait();
      sched_getaffinity(0, sizeof(cpu_set_t), &sets[static_cast<size_t>(thread)]);
    });
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
