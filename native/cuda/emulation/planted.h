// For tests of what the emulation finds: kernels with a bug in them, and the source lines that a report has to name.
#pragma once

#include <atomic>
#include <cstdio>
#include <string>

#include "cuda/test/test.h"

namespace tvn::emulation::planted {

/** The lines that were passed, and whether they are printed: another process reads them then. */
inline std::atomic<int> lines[2];
inline std::atomic<bool> printing;

inline void pass(int which, int line) {
  if (lines[which].exchange(line, std::memory_order_relaxed) != line && printing) std::fprintf(stderr, "line %d is %d\n", which, line);
}
/** Stands on the line of the bug, in front of it. */
#define PLANTED(which) ::tvn::emulation::planted::pass(which, __LINE__)

/** A planted line, as a fault writes it: looked up when the kernel has run. */
struct Place {
  const char* file;
  int which;
  operator std::string() const { return std::string(file) + ":" + std::to_string(lines[which].load()); }
};
#define PLACE(which) \
  ::tvn::emulation::planted::Place { __FILE__, which }

inline bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

/** Waits for the device, which must be broken by a fault that holds every one of the parts; then there is a fresh one. */
template <class... Parts>
void expect_fault(const Parts&... parts) {
  if (cudaDeviceSynchronize() == cudaSuccess) cuda::test::fail("no bug was found");
  const std::string fault = last_fault();
  reset();
  for (const std::string& part : {std::string(parts)...})
    if (!contains(fault, part)) cuda::test::fail("expected \"" + part + "\" in the fault \"" + fault + "\"");
}

}  // namespace tvn::emulation::planted
