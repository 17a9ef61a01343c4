#include "cuda/emulation/atomics.h"

#include "cuda/emulation/sanitizer.h"

namespace tvn::emulation {
namespace {

char fences;  // for TSan, which knows no fences: they are in one order

}  // namespace

void fence() {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  acquire(&fences);
  release(&fences);
}

void see_fenced() { acquire(&fences); }

}  // namespace tvn::emulation
