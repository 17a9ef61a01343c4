#include "cuda/emulation/multiprocessor.h"

#include <sched.h>

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "cuda/emulation/sanitizer.h"

namespace tvn::emulation {
namespace {

constinit thread_local Multiprocessor* running = nullptr;

}  // namespace

Multiprocessor& Multiprocessor::here() {
  if (!running) {
    std::fprintf(stderr, "CUDA emulation: what only a kernel may do was called outside of one\n");
    std::abort();
  }
  return *running;
}

bool Multiprocessor::running_here() { return running != nullptr; }

// ---- a block --------------------------------------------------------------------------------

void Multiprocessor::begin(const Kernel& kernel, std::uint64_t block, std::uint64_t seed, const std::atomic<bool>& cancelled) {
  kernel_ = &kernel;
  cancelled_ = &cancelled;
  shuffled_ = seed != 0;
  random_ = seed;
  block_ = {static_cast<unsigned>(block % kernel.grid.x), static_cast<unsigned>(block / kernel.grid.x % kernel.grid.y),
            static_cast<unsigned>(block / kernel.grid.x / kernel.grid.y)};
  prepare();
  release(&begin_);
}

bool Multiprocessor::advance(bool in_turns) {
  blockDim = kernel_->block;
  gridDim = kernel_->grid;
  blockIdx = block_;
  running = this;
  main_ = context_of_this_thread();
  in_turns_ = in_turns;
  turn_is_over_ = false;
  pauses_ = 0;
  while (returned_ < count_ && message_.empty() && !turn_is_over_) {
    if (Fiber* fiber = next()) {
      current_ = fiber;
      threadIdx = fiber->thread;
      switch_context(main_, fiber->context);
    } else {
      describe_deadlock();
    }
  }
  running = nullptr;
  return !turn_is_over_ || *cancelled_;
}

const char* Multiprocessor::end() {
  acquire(&end_);
  if (message_.empty() && !shared_.intact()) {
    begin_message();
    message_.add(": something was written behind its %zu bytes of dynamic shared memory", shared_.bytes());
  }
  idle_.insert(idle_.end(), spent_.begin(), spent_.end());
  spent_.clear();
  if (returned_ < count_ || !message_.empty()) abandon();
  return message_.empty() ? nullptr : message_.text();
}

void Multiprocessor::prepare() {
  count_ = kernel_->block.x * kernel_->block.y * kernel_->block.z;
  started_ = returned_ = 0;
  message_.clear();
  shared_.begin_block();
  const dim3& block = kernel_->block;
  if (const bool same_shape = coordinates_.size() == count_ && of_coordinates_.x == block.x && of_coordinates_.y == block.y; !same_shape) {
    coordinates_.clear();
    for (unsigned i = 0; i < count_; i++) coordinates_.push_back({i % block.x, i / block.x % block.y, i / (block.x * block.y)});
    of_coordinates_ = block;
  }
  order_.resize(count_);
  for (unsigned i = 0; i < count_; i++) order_[i] = i;
  if (shuffled_)
    for (unsigned i = count_ - 1; i > 0; i--) std::swap(order_[i], order_[random(i + 1)]);
  threads_.assign(count_, nullptr);
  if (ready_.size() < count_) {
    std::size_t size = 32;
    while (size < count_) size *= 2;
    ready_.resize(size);
  }
  if (warps_.size() < (count_ + 31) / 32) warps_.resize((count_ + 31) / 32);
  for (auto* list : {&idle_, &spent_, &at_barrier_}) list->reserve(count_);
  if (!thread_sanitizer()) return;
  while (fibers_.size() < count_) idle_.push_back(make_fiber());
  for (Warp& warp : warps_)
    for (auto& meeting : warp.meetings)
      if (!meeting) meeting = std::make_unique<Meeting>();
}

/** After a fault, here or in another block: fibers forget what they were doing. */
void Multiprocessor::abandon() {
  idle_.clear();
  for (const auto& fiber : fibers_) {
    Stacks::restart(fiber->context, &fiber_main);
    idle_.push_back(fiber.get());
  }
  ready_begin_ = ready_end_ = 0;
  at_barrier_.clear();
  barrier_.arrived = 0;
  barrier_.votes = 0;
  for (Warp& warp : warps_)
    for (auto& meeting : warp.meetings)
      if (meeting) meeting->arrived = 0;
}

/** splitmix64 */
unsigned Multiprocessor::random(unsigned below) {
  std::uint64_t z = random_ += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return static_cast<unsigned>((z ^ (z >> 31)) % below);
}

// ---- its threads ----------------------------------------------------------------------------

void Multiprocessor::fiber_main() {
  if (__sanitizer_finish_switch_fiber) __sanitizer_finish_switch_fiber(nullptr, nullptr, nullptr);
  running->run_threads();
}

/** What a fiber does all its life: threads that have not started, then nothing until it is needed again. */
void Multiprocessor::run_threads() {
  Fiber& me = *current_;
  for (;;) {
    while (started_ < count_) {
      me.index = order_[started_++];
      me.thread = coordinates_[me.index];
      me.waits = nullptr;
      me.pending.begin = me.pending.end = me.pending.group = 0;
      threads_[me.index] = &me;
      threadIdx = me.thread;
      acquire(&begin_);
      kernel_->body->run();
      release(&end_);
      threads_[me.index] = nullptr;
      returned_++;
      if (!Stacks::intact(me.context)) fault("the stack of the thread was too small");
      if (thread_sanitizer()) break;
    }
    (thread_sanitizer() ? spent_ : idle_).push_back(&me);
    leave();
  }
}

/** The fiber to go on with, or null: then all have returned or all wait. */
Fiber* Multiprocessor::next() {
  const unsigned ready = ready_end_ - ready_begin_;
  if (ready == 0 || (shuffled_ && started_ < count_ && random(4) == 0)) return start();
  if (shuffled_) std::swap(ready_[ready_begin_ % ready_.size()], ready_[(ready_begin_ + random(ready)) % ready_.size()]);
  return ready_[ready_begin_++ % ready_.size()];
}

/** A fiber that will run threads that have not started; null where there are none. */
Fiber* Multiprocessor::start() {
  if (started_ == count_) return nullptr;
  if (idle_.empty()) return make_fiber();
  Fiber* fiber = idle_.back();
  idle_.pop_back();
  return fiber;
}

Fiber* Multiprocessor::make_fiber() {
  fibers_.push_back(std::make_unique<Fiber>());
  fibers_.back()->context = stacks_.make(&fiber_main);
  return fibers_.back().get();
}

/** Hands over to another fiber or, where there is none, to run(). Returns when this one is chosen again. */
void Multiprocessor::leave() {
  Fiber& me = *current_;
  Fiber* to = next();
  if (to == &me) return;
  if (to) current_ = to, threadIdx = to->thread;
  switch_context(me.context, to ? to->context : main_);
}

void Multiprocessor::wait(const char* for_what, SourceLine where) {
  Fiber& me = *current_;
  me.waits = for_what;
  me.where = where;
  leave();
  me.waits = nullptr;
}

void Multiprocessor::resume(unsigned lane) { make_ready(threads_[current_->index / 32 * 32 + lane]); }

void Multiprocessor::pause() {
  Fiber& me = *current_;
  const bool alone = ready_begin_ == ready_end_;
  make_ready(&me);
  if (*cancelled_ || (in_turns_ && ++pauses_ >= count_)) {
    turn_is_over_ = true;
    switch_context(me.context, main_);
  } else if (Fiber* to = start()) {  // whom it waits for may not have started
    current_ = to;
    switch_context(me.context, to->context);
  } else {
    if (alone) sched_yield();
    leave();
  }
}

unsigned Multiprocessor::lanes() const {
  const unsigned after = count_ - current_->index / 32 * 32;
  return after >= 32 ? all_lanes : (1u << after) - 1;
}

int Multiprocessor::barrier(bool vote, SourceLine where) {
  Barrier& barrier = barrier_;
  Fiber& me = *current_;
  if (barrier.arrived == 0) {
    barrier.where = where;
    barrier.first = me.thread;
  } else if (!(barrier.where == where)) {
    fault("is at the barrier of %s:%d while thread (%u,%u,%u) waits at the barrier of %s:%d", where.file, where.line, barrier.first.x,
          barrier.first.y, barrier.first.z, barrier.where.file, barrier.where.line);
  }
  barrier.arrived++;
  barrier.votes += vote;
  const unsigned generation = barrier.generation % 2;
  release(&barrier.order[generation]);
  if (barrier.arrived == count_) {
    barrier.result[generation] = barrier.votes;
    barrier.votes = 0;
    barrier.arrived = 0;
    barrier.generation++;
    for (Fiber* fiber : at_barrier_) make_ready(fiber);
    at_barrier_.clear();
  } else {
    at_barrier_.push_back(&me);
    wait("__syncthreads", where);
  }
  acquire(&barrier.order[generation]);
  return barrier.result[generation];
}

// ---- bugs -----------------------------------------------------------------------------------

void Multiprocessor::begin_message() {
  message_.clear();
  message_.add("kernel %s (%s:%d), block (%u,%u,%u)", kernel_->name, kernel_->where.file, kernel_->where.line, block_.x, block_.y,
               block_.z);
}

void Multiprocessor::fault(const char* format, ...) {
  begin_message();
  message_.add(", thread (%u,%u,%u): ", threadIdx.x, threadIdx.y, threadIdx.z);
  va_list arguments;
  va_start(arguments, format);
  message_.add(format, arguments);
  va_end(arguments);
  switch_context(current_->context, main_);
  std::abort();
}

/** Every place where threads wait, how many and the first of them; then those that have returned. */
void Multiprocessor::describe_deadlock() {
  begin_message();
  message_.add(": its threads wait for ever: ");
  std::vector<bool> told(count_);
  const char* separator = "";
  for (unsigned i = 0; i < count_; i++) {
    const Fiber* first = threads_[i];
    if (!first || told[i]) continue;
    unsigned threads = 0;
    for (unsigned k = i; k < count_; k++) {
      const Fiber* other = threads_[k];
      if (!other || !(other->where == first->where) || other->waits != first->waits) continue;
      told[k] = true;
      threads++;
    }
    message_.add("%s%u at %s of %s:%d, the first of them (%u,%u,%u)", separator, threads, first->waits, first->where.file,
                 first->where.line, first->thread.x, first->thread.y, first->thread.z);
    separator = "; ";
  }
  for (unsigned i = 0; i < count_; i++)
    if (const uint3& thread = coordinates_[i]; !threads_[i]) {
      message_.add("; %u have returned, the first of them (%u,%u,%u)", returned_, thread.x, thread.y, thread.z);
      break;
    }
}

}  // namespace tvn::emulation
