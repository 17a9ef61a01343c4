// Stacks of their own for the threads of a block, and the switch from one to another. x86-64 only.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

namespace tvn::emulation {

/** Somewhere to return to: a stack, and where it was left. */
struct Context {
  void* stack_pointer = nullptr;
  const void* bottom = nullptr;  // lowest address
  std::size_t size = 0;
  void* fake_stack = nullptr;  // ASan's
  void* tsan = nullptr;        // what TSan takes for a thread
};

/** The context of the caller's own stack, for fibers to return to. */
Context context_of_this_thread();

/** Leaves `from`, goes on in `to`, and returns when somebody switches to `from`. Orders nothing in TSan's eyes. */
void switch_context(Context& from, Context& to);

/** Memory for stacks, in chunks. */
class Stacks {
 public:
  Stacks() = default;
  Stacks(const Stacks&) = delete;
  Stacks& operator=(const Stacks&) = delete;
  ~Stacks();

  /** A context that begins with entry() on a stack of its own. entry must not return. */
  Context make(void (*entry)());
  /** Lets a context begin anew, whatever it was doing. Nothing on its stack is destroyed. */
  static void restart(Context&, void (*entry)());
  /** Whether the lowest bytes of its stack are as they were. */
  static bool intact(const Context&);

 private:
  std::vector<void*> chunks_;
  int used_ = 0;  // of the last chunk
};

}  // namespace tvn::emulation
