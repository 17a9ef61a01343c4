// A text of limited length without the heap: it is written on stacks that may be left for ever.
#pragma once

#include <algorithm>
#include <cstdarg>
#include <cstddef>
#include <cstdio>

namespace tvn::emulation {

class Message {
 public:
  void clear() { text_[length_ = 0] = 0; }
  void add(const char* format, ...) __attribute__((format(printf, 2, 3))) {
    va_list arguments;
    va_start(arguments, format);
    add(format, arguments);
    va_end(arguments);
  }
  void add(const char* format, va_list arguments) {
    const int more = std::vsnprintf(text_ + length_, sizeof text_ - length_, format, arguments);
    length_ = std::min(length_ + static_cast<std::size_t>(more), sizeof text_ - 1);
  }
  const char* text() const { return text_; }
  bool empty() const { return length_ == 0; }

 private:
  char text_[1000] = {};
  std::size_t length_ = 0;
};

}  // namespace tvn::emulation
