#include "cuda/emulation/crash.h"

#include <ucontext.h>

#include <cstdint>

#include "cuda/emulation/module.h"
#include "cuda/emulation/multiprocessor.h"
#include "cuda/emulation/sanitizer.h"

namespace tvn::emulation {
namespace {

constexpr int signals[] = {SIGSEGV, SIGBUS, SIGFPE};
struct sigaction earlier[3];

struct Crash {
  int signal;
  std::uintptr_t address, instruction;
};
constinit thread_local Crash crash{};

bool handled() { return !address_sanitizer() && !thread_sanitizer(); }

/** Where the thread goes on after the handler. */
[[noreturn]] void blame_kernel() {
  const Module module = this_module();
  const std::uintptr_t instruction = crash.instruction - reinterpret_cast<std::uintptr_t>(module.base);
  Multiprocessor& processor = Multiprocessor::here();
  if (crash.signal == SIGFPE) processor.fault("an integer was divided by zero (addr2line -e %s %#lx)", module.file, instruction);
  if (crash.address == 0)
    processor.fault("an address is null, or not aligned to the 16 bytes that are read or written there (addr2line -e %s %#lx)", module.file,
                    instruction);
  processor.fault("address %#lx does not exist (addr2line -e %s %#lx)", crash.address, module.file, instruction);
}

void handle(int signal, siginfo_t* info, void* context) {
  if (!Multiprocessor::running_here()) {
    for (int i = 0; i < 3; i++) sigaction(signals[i], &earlier[i], nullptr);  // the instruction is tried again
    return;
  }
  auto& registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  crash = {signal, reinterpret_cast<std::uintptr_t>(info->si_addr), static_cast<std::uintptr_t>(registers[REG_RIP])};
  registers[REG_RIP] = reinterpret_cast<greg_t>(&blame_kernel);
  registers[REG_RSP] = ((registers[REG_RSP] - 128) & ~greg_t{15}) - 8;  // below what the function may use, aligned as after a call
}

}  // namespace

CrashHandler::CrashHandler() {
  if (!handled()) return;
  struct sigaction action {};
  action.sa_sigaction = handle;
  action.sa_flags = SA_SIGINFO;
  for (int i = 0; i < 3; i++) sigaction(signals[i], &action, &earlier[i]);
}

CrashHandler::~CrashHandler() {
  if (!handled()) return;
  for (int i = 0; i < 3; i++) sigaction(signals[i], &earlier[i], nullptr);
}

}  // namespace tvn::emulation
