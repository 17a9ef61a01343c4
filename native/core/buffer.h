// Aligned memory.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>

namespace tvn {

constexpr std::size_t cache_line = 64;

template <class Integer>
constexpr Integer round_up(Integer n, Integer multiple) {
  return (n + multiple - 1) / multiple * multiple;
}

struct FreeDeleter {
  void operator()(void* p) const { std::free(p); }
};

/**
 * Uninitialised bytes aligned to a cache line; throws std::bad_alloc. Large blocks ask for huge pages: kernels walk over several rows at
 * once, and with small pages they would wait for address translation, twice as long in a virtual machine.
 */
inline void* allocate_aligned(std::size_t bytes) {
  constexpr std::size_t huge_page = std::size_t{1} << 21;
  const std::size_t alignment = bytes >= huge_page ? huge_page : cache_line;
  const std::size_t size = round_up(bytes + (bytes == 0), cache_line);
  void* p = std::aligned_alloc(alignment, round_up(size, alignment));
  if (!p) throw std::bad_alloc();
  if (alignment == huge_page) madvise(p, size / huge_page * huge_page, MADV_HUGEPAGE);  // refused where the system has none
  return p;
}

/** `count` uninitialised elements aligned to a cache line; throws std::bad_alloc. */
template <class T>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::size_t count) : size_(count) {
    if (count > static_cast<std::size_t>(-1) / 2 / sizeof(T)) throw std::bad_alloc();
    data_.reset(static_cast<T*>(allocate_aligned(count * sizeof(T))));
  }
  T* data() { return data_.get(); }
  const T* data() const { return data_.get(); }
  std::size_t size() const { return size_; }
  T& operator[](std::size_t i) { return data_.get()[i]; }
  const T& operator[](std::size_t i) const { return data_.get()[i]; }
  T* begin() { return data(); }
  T* end() { return data() + size_; }
  const T* begin() const { return data(); }
  const T* end() const { return data() + size_; }

 private:
  std::unique_ptr<T, FreeDeleter> data_;
  std::size_t size_ = 0;
};

}  // namespace tvn
