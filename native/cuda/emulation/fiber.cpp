#include "cuda/emulation/fiber.h"

#include <pthread.h>
#include <sys/mman.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <new>

#include "cuda/emulation/sanitizer.h"

#if !defined(__x86_64__) || !defined(__linux__)
#error "the emulation of CUDA switches stacks on x86-64 Linux only"
#endif

// Registers that a callee must keep, then the stack pointer: the rest is lost in a call anyway.
asm(R"(
.text
.local tvn_emulation_switch
.type tvn_emulation_switch, @function
tvn_emulation_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size tvn_emulation_switch, . - tvn_emulation_switch
)");
extern "C" void tvn_emulation_switch(void** save, void* load);

namespace tvn::emulation {
namespace {

constexpr std::size_t stack_bytes = std::size_t{128} << 10;
// Stacks are not a power of two apart: their tops, all that most threads use, would compete for the same lines of the caches.
constexpr std::size_t stack_distance = stack_bytes + 17 * 64;
constexpr int stacks_in_chunk = 64;
constexpr std::size_t chunk_bytes = stack_distance * stacks_in_chunk;
constexpr std::uint64_t canary = 0x5afe57acc0ffee00u;

}  // namespace

Context context_of_this_thread() {
  Context context;
  if (__sanitizer_start_switch_fiber) {
    pthread_attr_t attributes;
    void* bottom = nullptr;
    if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
      pthread_attr_getstack(&attributes, &bottom, &context.size);
      pthread_attr_destroy(&attributes);
    }
    context.bottom = bottom;
  }
  if (__tsan_get_current_fiber) context.tsan = __tsan_get_current_fiber();
  return context;
}

void switch_context(Context& from, Context& to) {
  if (__sanitizer_start_switch_fiber) __sanitizer_start_switch_fiber(&from.fake_stack, to.bottom, to.size);
  if (__tsan_switch_to_fiber) __tsan_switch_to_fiber(to.tsan, 1);
  tvn_emulation_switch(&from.stack_pointer, to.stack_pointer);
  if (__sanitizer_finish_switch_fiber) __sanitizer_finish_switch_fiber(from.fake_stack, nullptr, nullptr);
}

Stacks::~Stacks() {
  for (void* chunk : chunks_) munmap(chunk, chunk_bytes);
}

Context Stacks::make(void (*entry)()) {
  if (chunks_.empty() || used_ == stacks_in_chunk) {
    void* chunk = mmap(nullptr, chunk_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (chunk == MAP_FAILED) throw std::bad_alloc();
    chunks_.push_back(chunk);
    used_ = 0;
  }
  Context context;
  context.bottom = static_cast<char*>(chunks_.back()) + static_cast<std::size_t>(used_++) * stack_distance;
  context.size = stack_bytes;
  restart(context, entry);
  return context;
}

void Stacks::restart(Context& context, void (*entry)()) {
  char* bottom = static_cast<char*>(const_cast<void*>(context.bottom));
  if (__asan_unpoison_memory_region) __asan_unpoison_memory_region(bottom, context.size);
  if (context.tsan) {
    // what it did happened before whatever the caller does now
    void* const caller = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(context.tsan, 1);
    __tsan_switch_to_fiber(caller, 0);
    __tsan_destroy_fiber(context.tsan);
  }
  if (__tsan_create_fiber) context.tsan = __tsan_create_fiber(0);
  *reinterpret_cast<std::uint64_t*>(bottom) = canary;
  void** top = reinterpret_cast<void**>(bottom + context.size);
  *--top = nullptr;  // entry's return address, which ends every backtrace
  *--top = reinterpret_cast<void*>(entry);
  for (int saved = 0; saved < 6; saved++) *--top = nullptr;
  context.stack_pointer = top;
  context.fake_stack = nullptr;
}

bool Stacks::intact(const Context& context) { return *static_cast<const std::uint64_t*>(context.bottom) == canary; }

}  // namespace tvn::emulation
