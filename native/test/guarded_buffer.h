// Memory for a kernel under test: misaligned on request, with guard bytes on both sides.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>

#include "core/buffer.h"

namespace tvn::test {

/**
 * `count` elements that start `misalign` elements behind a cache line. They are NaN (or −1) until written, so a forgotten element is
 * seen; the guard starts with the very next byte, and a write into it fails the test when the buffer dies (or in expect_intact).
 */
template <class T>
class GuardedBuffer {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  explicit GuardedBuffer(int64_t count, size_t misalign = 0)
      : size_(static_cast<size_t>(count)), offset_(guard_bytes + misalign * sizeof(T)), bytes_(offset_ + size_ * sizeof(T) + guard_bytes) {
    std::memset(bytes_.data(), guard_value, bytes_.size());
    std::memset(bytes_.data() + offset_, 0xff, size_ * sizeof(T));
  }
  GuardedBuffer(GuardedBuffer&& other) noexcept = default;
  ~GuardedBuffer() {
    if (bytes_.data()) expect_intact();
  }

  T* data() { return reinterpret_cast<T*>(bytes_.data() + offset_); }
  const T* data() const { return reinterpret_cast<const T*>(bytes_.data() + offset_); }
  size_t size() const { return size_; }
  T& operator[](size_t i) { return data()[i]; }
  const T& operator[](size_t i) const { return data()[i]; }
  T* begin() { return data(); }
  T* end() { return data() + size_; }
  const T* begin() const { return data(); }
  const T* end() const { return data() + size_; }
  operator std::span<T>() { return {data(), size_}; }
  operator std::span<const T>() const { return {data(), size_}; }

  void expect_intact() const {
    const size_t end = offset_ + size_ * sizeof(T);
    for (size_t i = 0; i < bytes_.size(); i++) {
      if (i == offset_) i = end;
      if (bytes_[i] == guard_value) continue;
      if (i < offset_)
        ADD_FAILURE() << "a write, byte −" << offset_ - i << " before a buffer of " << size_ << " elements";
      else
        ADD_FAILURE() << "a write, byte +" << i - end << " behind a buffer of " << size_ << " elements";
      return;
    }
  }

 private:
  static constexpr size_t guard_bytes = 2 * cache_line;
  static constexpr unsigned char guard_value = 0xa5;
  size_t size_, offset_;
  Buffer<unsigned char> bytes_;
};

}  // namespace tvn::test
