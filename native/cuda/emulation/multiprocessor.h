// What runs a block: its threads are fibers of one OS thread, and one of them runs until it waits for others.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "cuda/emulation/fault.h"
#include "cuda/emulation/fiber.h"
#include "cuda/emulation/language.h"
#include "cuda/emulation/launch.h"
#include "cuda/emulation/meeting.h"
#include "cuda/emulation/message.h"
#include "cuda/emulation/shared_memory.h"

namespace tvn::emulation {

/** Copies of 16 bytes that have begun and may not be looked at yet, oldest first. */
struct PendingCopies {
  struct Copy {
    void* to;
    const void* from;  // null: zeros
    unsigned group;
  };
  static constexpr unsigned most = 256;
  Copy copies[most];  // a ring
  unsigned begin = 0, end = 0;
  unsigned group = 0;  // that the next one belongs to
};

/** A fiber, and the thread of a block that it is at the moment. */
struct Fiber {
  Context context;
  uint3 thread{};
  unsigned index = 0;           // of the thread in its block
  const char* waits = nullptr;  // for what, or null
  SourceLine where;
  PendingCopies pending;

  unsigned lane() const { return index % 32; }
};

/**
 * Runs one block after another, each on the OS thread of the caller. The threads of a block start in order; one that waits hands over to
 * the next that is ready or, where none is, to one that has not started. A thread that never waits costs no switch: the next one runs on
 * its fiber. Under TSan every thread has a fiber of its own, because that is what TSan tells threads by; and fibers allocate nothing,
 * because it would see them do so.
 */
class Multiprocessor {
 public:
  /** Begins block number `block`. `seed`: zero for the order of their numbers. It need not go on once `cancelled`. */
  void begin(const Kernel& kernel, std::uint64_t block, std::uint64_t seed, const std::atomic<bool>& cancelled);
  /**
   * Runs it to its end and returns true. Where blocks take turns on one OS thread it also returns when all its threads wait for other
   * blocks, with false, and has to be called again.
   */
  bool advance(bool in_turns);
  /** What was wrong with it, or null. */
  const char* end();

  /** The one that runs the caller, a thread of a kernel. */
  static Multiprocessor& here();
  static bool running_here();

  // for the running thread
  Fiber& current() { return *current_; }
  const Kernel& kernel() const { return *kernel_; }
  SharedMemory& shared() { return shared_; }
  Warp& warp() { return warps_[current_->index / 32]; }
  /** The lanes that there are in its warp: the last one of a block may be smaller. */
  unsigned lanes() const;
  /** Waits for every thread of the block; the number of those that came with a true `vote`. */
  int barrier(bool vote, SourceLine where);
  /** Waits until resume() is called for it. */
  void wait(const char* for_what, SourceLine where);
  void resume(unsigned lane);  // of its warp
  /** Lets others run. */
  void pause();
  /** Ends the kernel: what follows "kernel …, block …, thread …: ". */
  [[noreturn]] void fault(const char* format, ...) __attribute__((format(printf, 2, 3)));

 private:
  struct Barrier {
    unsigned arrived = 0, generation = 0;
    int votes = 0;
    int result[2] = {};
    SourceLine where;
    uint3 first{};
    char order[2];  // for TSan: arrivals before departures, of this generation and the next
  };

  static void fiber_main();
  void run_threads();
  void prepare();
  void leave();
  Fiber* next();
  Fiber* start();
  Fiber* make_fiber();
  void make_ready(Fiber* fiber) { ready_[ready_end_++ % ready_.size()] = fiber; }
  void begin_message();
  void describe_deadlock();
  void abandon();
  unsigned random(unsigned below);

  Stacks stacks_;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<Fiber*> idle_;     // may run a thread
  std::vector<Fiber*> spent_;    // ran a thread of this block
  std::vector<Fiber*> threads_;  // by index, of those that have started; null once they returned
  std::vector<Fiber*> ready_;    // a ring, a power of two
  unsigned ready_begin_ = 0, ready_end_ = 0;
  std::vector<unsigned> order_;     // in which threads start
  std::vector<uint3> coordinates_;  // of threads, by index
  dim3 of_coordinates_{0, 0, 0};    // the block's
  unsigned started_ = 0, returned_ = 0, count_ = 0;
  bool shuffled_ = false, in_turns_ = false, turn_is_over_ = false;
  unsigned pauses_ = 0;  // of this turn
  std::uint64_t random_ = 0;
  const Kernel* kernel_ = nullptr;
  const std::atomic<bool>* cancelled_ = nullptr;
  uint3 block_{};
  Fiber* current_ = nullptr;
  Context main_;
  Barrier barrier_;
  std::vector<Fiber*> at_barrier_;
  std::vector<Warp> warps_;
  SharedMemory shared_;
  char begin_, end_;  // for TSan: before and after all threads of a block
  Message message_;   // empty where all is well
};

}  // namespace tvn::emulation
