// Signals that a kernel raises: an address that does not exist, an integer divided by zero.
#pragma once

#include <csignal>

namespace tvn::emulation {

/** While it lives, such a signal in a kernel is the kernel's fault and does not end the process. Sanitizers keep their own handlers. */
class CrashHandler {
 public:
  CrashHandler();
  ~CrashHandler();
  CrashHandler(const CrashHandler&) = delete;
  CrashHandler& operator=(const CrashHandler&) = delete;
};

}  // namespace tvn::emulation
