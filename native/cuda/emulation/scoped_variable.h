// For tests: an environment variable while it lives; afterwards the device is a fresh one.
#pragma once

#include <cstdlib>

#include "cuda/emulation/fault.h"

namespace tvn::emulation {

class ScopedVariable {
 public:
  ScopedVariable(const char* name, const char* value) : name_(name) { setenv(name, value, 1); }
  ScopedVariable(const ScopedVariable&) = delete;
  ScopedVariable& operator=(const ScopedVariable&) = delete;
  ~ScopedVariable() {
    unsetenv(name_);
    reset();
  }

 private:
  const char* name_;
};

}  // namespace tvn::emulation
