#include "cuda/emulation/atomics.h"

#include <atomic>

#include "cuda/emulation/sanitizer.h"

namespace tvn::emulation {
namespace {

char fences;  // for TSan, which knows no fences: they are in one order

template <class T>
T swap_if(T* at, T expected, T value) {
  std::atomic_ref<T>(*at).compare_exchange_strong(expected, value, std::memory_order_relaxed);
  return expected;
}

}  // namespace

void fence() {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  acquire(&fences);
  release(&fences);
}

void see_fenced() { acquire(&fences); }

unsigned atomic_load(const unsigned* at) { return __atomic_load_n(at, __ATOMIC_RELAXED); }
unsigned long long atomic_load(const unsigned long long* at) { return __atomic_load_n(at, __ATOMIC_RELAXED); }
unsigned compare_and_swap(unsigned* at, unsigned expected, unsigned value) { return swap_if(at, expected, value); }
unsigned long long compare_and_swap(unsigned long long* at, unsigned long long expected, unsigned long long value) {
  return swap_if(at, expected, value);
}

}  // namespace tvn::emulation
