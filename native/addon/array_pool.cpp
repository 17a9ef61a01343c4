#include "addon/array_pool.h"

#include <bit>
#include <map>
#include <mutex>
#include <vector>

#include "core/buffer.h"

namespace tvn::addon {
namespace {

constexpr std::size_t least_bytes = 64 << 10;  // below, allocators are as fast
constexpr std::size_t most_kept = 512 << 20;   // in blocks that no array uses
constexpr std::size_t most_lent = 512 << 20;   // to arrays, also such as wait to be given back

/** Eight sizes between a power of two and the next, so that at most an eighth is wasted. */
std::size_t block_size(std::size_t bytes) {
  const std::size_t step = std::bit_floor(bytes) / 8;
  return round_up(bytes, step);
}

}  // namespace

struct ArrayPool::Blocks {
  std::mutex mutex;
  std::map<std::size_t, std::vector<void*>> free;  // by size
  std::size_t kept = 0, lent = 0;

  ~Blocks() {
    for (auto& [size, list] : free)
      for (void* block : list) std::free(block);
  }

  /** Null where too much is lent, or there is no memory. */
  void* take(std::size_t size) {
    const std::lock_guard lock(mutex);
    if (lent + size > most_lent) return nullptr;
    void* block = nullptr;
    if (std::vector<void*>& list = free[size]; !list.empty()) {
      block = list.back();
      list.pop_back();
      kept -= size;
    } else {
      try {
        block = allocate_aligned(size);
      } catch (const std::bad_alloc&) {
        return nullptr;
      }
    }
    lent += size;
    return block;
  }

  void give_back(void* block, std::size_t size) {
    const std::lock_guard lock(mutex);
    lent -= size;
    if (kept + size > most_kept) return std::free(block);
    free[size].push_back(block);
    kept += size;
  }
};

ArrayPool::ArrayPool() : blocks_(std::make_shared<Blocks>()) {}
ArrayPool::~ArrayPool() = default;

Napi::Float32Array ArrayPool::allocate(Napi::Env env, std::size_t floats) {
  const std::size_t bytes = floats * sizeof(float), size = bytes < least_bytes ? 0 : block_size(bytes);
  void* block = size > 0 ? blocks_->take(size) : nullptr;
  if (!block) return Napi::Float32Array::New(env, floats);
  struct Loan {
    std::shared_ptr<Blocks> blocks;
    std::size_t size;
  };
  const auto give_back = [](Napi::BasicEnv, void* data, Loan* loan) {
    loan->blocks->give_back(data, loan->size);
    delete loan;
  };
  auto* loan = new Loan{blocks_, size};
  try {
    return Napi::Float32Array::New(env, floats, Napi::ArrayBuffer::New(env, block, bytes, give_back, loan), 0);
  } catch (...) {  // this Node has no arrays over memory of ours
    give_back(env, block, loan);
    return Napi::Float32Array::New(env, floats);
  }
}

}  // namespace tvn::addon
