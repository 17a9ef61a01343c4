// A fixed set of threads that run the tasks of one kernel at a time.
#pragma once

#include <sched.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

namespace tvn {

/**
 * Thread i of P has the tasks [tasks·i/P, tasks·(i+1)/P) and runs them in order; who is done takes over what the others have left, from the
 * end. Which task computes what must not depend on the number of threads, so that results are bit-identical for any P and whoever runs it;
 * sums over tasks go through a fixed tree. The calling thread is thread 0; it waits for those that have begun to help, not for those that
 * are still waking up. Waiting threads spin for about 50 µs, then park. One run at a time; not reentrant.
 */
class ThreadPool {
 public:
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return threads_; }

  /** Of the calling thread alone; reentrant. */
  static ThreadPool& serial();

  /** Calls f(task, thread) for every task in [0, tasks) and returns when all are done. f must not throw. */
  template <class F>
  void run(int64_t tasks, const F& f) {
    run_tasks(
        tasks, [](const void* context, int64_t task, int thread) { (*static_cast<const F*>(context))(task, thread); }, &f);
  }

  /**
   * Pins the threads but the calling one each to the next core of the caller's set, from first_core + 1 on and after the last one from
   * the first; unpin() gives them the caller's set.
   */
  void pin(int first_core);
  void unpin();

 private:
  using Call = void (*)(const void* context, int64_t task, int thread);
  void stop();
  void run_tasks(int64_t tasks, Call call, const void* context);

  class Share;
  struct State;
  int threads_;
  std::unique_ptr<State> state_;
};

/** Pins the calling thread to a core while it lives. */
class PinnedThread {
 public:
  explicit PinnedThread(int core);
  ~PinnedThread();
  PinnedThread(const PinnedThread&) = delete;
  PinnedThread& operator=(const PinnedThread&) = delete;

 private:
  cpu_set_t before_;
  bool pinned_ = false;
};

}  // namespace tvn
