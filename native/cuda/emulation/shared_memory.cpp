#include "cuda/emulation/shared_memory.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>

#include "cuda/emulation/module.h"
#include "cuda/emulation/multiprocessor.h"
#include "cuda/emulation/sanitizer.h"

namespace tvn::emulation {
namespace {

constexpr std::size_t guard_bytes = 256;
constexpr int guard_value = 0xA5, fresh_value = 0xFF;
constexpr std::size_t alignment = 128;

std::size_t guard() { return address_sanitizer() ? 0 : guard_bytes; }

/** This thread's. Not a variable of a function: it would be taken for a kernel's. */
constinit thread_local unsigned char* thread_local_memory = nullptr;

/** Static __shared__ variables; under ASan, where they are not thread_local, all other ones of functions too. */
const std::vector<Variable>& static_variables() {
  static const std::vector<Variable> variables = variables_of_functions(!address_sanitizer());
  return variables;
}

/** Looks at the first, middle and last bytes: kernels write their arrays from end to end, and to look at all would take too long. */
bool seems_fresh(const unsigned char* data, std::size_t size) {
  const std::size_t looked_at = std::min<std::size_t>(size, 16);
  for (const std::size_t at : {std::size_t{0}, (size - looked_at) / 2, size - looked_at})
    for (std::size_t i = 0; i < looked_at; i++)
      if (data[at + i] != fresh_value) return false;
  return true;
}

}  // namespace

SharedMemory::~SharedMemory() { std::free(memory_); }

void SharedMemory::allocate(std::size_t bytes) {
  std::free(memory_);
  memory_ = nullptr;
  bytes_ = bytes;
  kept_.clear();
  if (bytes == 0) return;
  void* memory = nullptr;
  if (posix_memalign(&memory, alignment, bytes + guard()) != 0) throw std::bad_alloc();
  memory_ = static_cast<unsigned char*>(memory);
  std::memset(memory_ + bytes, guard_value, guard());
}

void SharedMemory::begin_block() {
  if (bytes_) std::memset(memory_, fresh_value, bytes_);
  if (address_sanitizer()) return;
  if (!thread_local_memory) thread_local_memory = this_module().thread_local_memory;
  for (const Variable& variable : static_variables())
    if (unsigned char* data = thread_local_memory + variable.offset; !seems_fresh(data, variable.size))
      std::memset(data, fresh_value, variable.size);
}

void SharedMemory::exchange_static() {
  if (!address_sanitizer()) return;
  static unsigned char* const base = this_module().base;
  std::size_t bytes = 0;
  for (const Variable& variable : static_variables()) bytes += variable.size;
  const bool first = kept_.size() != bytes;
  kept_.resize(bytes);
  unsigned char* kept = kept_.data();
  for (const Variable& variable : static_variables()) {
    unsigned char* const data = base + variable.offset;
    if (first)
      std::memcpy(kept, data, variable.size);
    else
      std::swap_ranges(kept, kept + variable.size, data);
    kept += variable.size;
  }
}

bool SharedMemory::intact() const {
  if (!memory_) return true;
  for (std::size_t i = 0; i < guard(); i++)
    if (memory_[bytes_ + i] != guard_value) return false;
  return true;
}

void* dynamic_shared() { return Multiprocessor::here().shared().dynamic(); }

}  // namespace tvn::emulation
