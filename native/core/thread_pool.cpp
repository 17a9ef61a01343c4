#include "core/thread_pool.h"

#include <immintrin.h>
#include <pthread.h>
#include <sched.h>

#include <chrono>
#include <limits>
#include <thread>

namespace tvn {
namespace {

constexpr auto spin_time = std::chrono::microseconds(50);

/** Spins until `done()`, at most spin_time; says whether it is done. */
template <class Done>
bool spin(const Done& done) {
  const auto end = std::chrono::steady_clock::now() + spin_time;
  do {
    for (int i = 0; i < 64; i++) {
      if (done()) return true;
      _mm_pause();
    }
  } while (std::chrono::steady_clock::now() < end);
  return false;
}

void set_affinity(pthread_t thread, int core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<size_t>(core), &set);
  pthread_setaffinity_np(thread, sizeof set, &set);  // a core outside the process's set is refused: then nothing changes
}

}  // namespace

/** The tasks [begin, end) that a thread has left: it takes the first, others take the last. */
class alignas(64) ThreadPool::Share {
 public:
  void set(uint32_t begin, uint32_t end) { range_.store(Range{begin, end}, std::memory_order_relaxed); }
  bool take_first(uint32_t& task) {
    return take([&](Range& r) { task = r.begin++; });
  }
  bool take_last(uint32_t& task) {
    return take([&](Range& r) { task = --r.end; });
  }

 private:
  struct Range {
    uint32_t begin, end;
  };
  static_assert(std::atomic<Range>::is_always_lock_free);

  /** Tasks are only counted here: what they compute is published by `helpers`. */
  template <class Take>
  bool take(const Take& take) {
    Range seen = range_.load(std::memory_order_relaxed), left;
    do {
      if (seen.begin == seen.end) return false;
      left = seen;
      take(left);
    } while (!range_.compare_exchange_weak(seen, left, std::memory_order_relaxed));
    return true;
  }

  std::atomic<Range> range_{Range{0, 0}};
};

struct ThreadPool::State {
  std::vector<std::thread> workers;
  std::vector<Share> shares;  // of all threads
  // The work of this run; written before it is opened, read by those that have joined it.
  Call call = nullptr;
  const void* context = nullptr;
  /** Counts runs: workers wait for the next one. */
  alignas(64) std::atomic<uint32_t> generation{0};
  /** How many workers have joined the run that is open, `closed` between runs. Who wakes up too late finds it closed, so that nobody waits
   * for it. */
  alignas(64) std::atomic<int> helpers{closed};
  static constexpr int closed = -1;
  std::atomic<bool> stop{false};

  explicit State(int threads) : shares(static_cast<size_t>(threads)) {}

  /** Joins the run that is open, whichever it is, if there is one. */
  void help(int thread) {
    int joined = helpers.load(std::memory_order_relaxed);
    do {
      if (joined == closed) return;
    } while (!helpers.compare_exchange_weak(joined, joined + 1, std::memory_order_acquire, std::memory_order_relaxed));
    work(thread);
    if (helpers.fetch_sub(1, std::memory_order_acq_rel) == 1) helpers.notify_one();
  }

  /** Ends the run once nobody helps; no task is left by then. */
  bool close() {
    int nobody = 0;
    return helpers.compare_exchange_strong(nobody, closed, std::memory_order_acquire, std::memory_order_relaxed);
  }

  /**
   * Until somebody has left. Only who makes it 0 wakes the caller, and may have done so just before: so it must not sleep on a 0, but on
   * a number that will still become 0.
   */
  void park() {
    if (const int now = helpers.load(std::memory_order_acquire); now > 0) helpers.wait(now, std::memory_order_acquire);
  }

  void work(int thread) {
    uint32_t task;
    while (shares[static_cast<size_t>(thread)].take_first(task)) call(context, task, thread);
    for (size_t i = 1; i < shares.size(); i++) {
      Share& other = shares[(static_cast<size_t>(thread) + i) % shares.size()];
      while (other.take_last(task)) call(context, task, thread);
    }
  }
};

ThreadPool::ThreadPool(int threads) : threads_(threads), state_(std::make_unique<State>(threads)) {
  State& s = *state_;
  const auto work = [this, &s](int thread) {
    uint32_t seen = 0;
    for (;;) {
      const auto changed = [&] { return s.generation.load(std::memory_order_acquire) != seen; };
      while (!spin(changed) && !changed()) s.generation.wait(seen, std::memory_order_acquire);
      seen = s.generation.load(std::memory_order_acquire);
      if (s.stop.load(std::memory_order_relaxed)) return;
      s.help(thread);
    }
  };
  try {
    for (int thread = 1; thread < threads; thread++) s.workers.emplace_back(work, thread);
  } catch (...) {
    stop();
    throw;
  }
}

ThreadPool::~ThreadPool() { stop(); }

ThreadPool& ThreadPool::serial() {
  static ThreadPool pool(1);
  return pool;
}

void ThreadPool::stop() {
  State& s = *state_;
  s.stop.store(true, std::memory_order_relaxed);
  s.generation.fetch_add(1, std::memory_order_release);
  s.generation.notify_all();
  for (std::thread& worker : s.workers) worker.join();
}

void ThreadPool::run_tasks(int64_t tasks, Call call, const void* context) {
  if (threads_ == 1 || tasks <= 1 || tasks > std::numeric_limits<uint32_t>::max()) {
    for (int64_t task = 0; task < tasks; task++) call(context, task, 0);
    return;
  }
  State& s = *state_;
  s.call = call;
  s.context = context;
  for (int thread = 0; thread < threads_; thread++)
    s.shares[static_cast<size_t>(thread)].set(static_cast<uint32_t>(tasks * thread / threads_),
                                              static_cast<uint32_t>(tasks * (thread + 1) / threads_));
  s.helpers.store(0, std::memory_order_release);
  s.generation.fetch_add(1, std::memory_order_release);
  s.generation.notify_all();
  s.work(0);
  while (!spin([&] { return s.close(); })) s.park();
}

void ThreadPool::pin(int first_core) {
  cpu_set_t allowed;
  if (pthread_getaffinity_np(pthread_self(), sizeof allowed, &allowed) != 0) return;
  int core = first_core;
  for (std::thread& worker : state_->workers) {
    do core = (core + 1) % CPU_SETSIZE;
    while (!CPU_ISSET(static_cast<size_t>(core), &allowed));
    set_affinity(worker.native_handle(), core);
  }
}

void ThreadPool::unpin() {
  cpu_set_t set;
  if (pthread_getaffinity_np(pthread_self(), sizeof set, &set) != 0) return;
  for (std::thread& worker : state_->workers) pthread_setaffinity_np(worker.native_handle(), sizeof set, &set);
}

PinnedThread::PinnedThread(int core) {
  if (pthread_getaffinity_np(pthread_self(), sizeof before_, &before_) == 0) {
    set_affinity(pthread_self(), core);
    pinned_ = true;
  }
}

PinnedThread::~PinnedThread() {
  if (pinned_) pthread_setaffinity_np(pthread_self(), sizeof before_, &before_);
}

}  // namespace tvn
