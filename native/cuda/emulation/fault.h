// Where in a kernel something happened, and what the emulation found there.
#pragma once

#include <cstring>
#include <string>

namespace tvn::emulation {

/** As a default argument it is the line of the call: every function of a kernel that may find a bug takes one. */
struct SourceLine {
  const char* file = "";
  int line = 0;

  static constexpr SourceLine current(const char* file = __builtin_FILE(), int line = __builtin_LINE()) { return {file, line}; }
  bool operator==(const SourceLine& other) const {
    return line == other.line && (file == other.file || std::strcmp(file, other.file) == 0);
  }
};

/** The bug that broke the device, with kernel, block, thread and source lines; empty where there was none. */
std::string last_fault();

/** A fresh device: no fault, no error, nothing queued, launches counted from zero. Allocations, streams and graphs stay. */
void reset();

}  // namespace tvn::emulation
