// Aligned memory.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>

namespace tvn {

constexpr std::size_t cache_line = 64;

constexpr std::size_t round_up(std::size_t n, std::size_t multiple) { return (n + multiple - 1) / multiple * multiple; }

struct FreeDeleter {
  void operator()(void* p) const { std::free(p); }
};

/** `count` uninitialised elements aligned to a cache line; throws std::bad_alloc. */
template <class T>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::size_t count) : size_(count) {
    if (count > (static_cast<std::size_t>(-1) - cache_line) / sizeof(T)) throw std::bad_alloc();
    void* p = std::aligned_alloc(cache_line, round_up(count * sizeof(T) + (count == 0), cache_line));
    if (!p) throw std::bad_alloc();
    data_.reset(static_cast<T*>(p));
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
