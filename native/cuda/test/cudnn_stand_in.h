// What tests need to have cudnn_stand_in.cpp loaded in cuDNN's place.
#pragma once

#include <dlfcn.h>

#include <cstdlib>
#include <optional>
#include <string>

#include "cuda/test/test.h"

namespace tvn::cuda::test {

/** Sets a variable of the environment as long as it lives; null: it is not set. */
class WithEnvironment {
 public:
  WithEnvironment(const char* name, const char* value) : name_(name) {
    if (const char* const before = std::getenv(name)) before_ = before;
    set(value);
  }
  WithEnvironment(const WithEnvironment&) = delete;
  WithEnvironment& operator=(const WithEnvironment&) = delete;
  ~WithEnvironment() { set(before_ ? before_->c_str() : nullptr); }

 private:
  void set(const char* value) { value ? setenv(name_, value, 1) : unsetenv(name_); }
  const char* name_;
  std::optional<std::string> before_;
};

#ifdef TVN_EMULATION
namespace stand_in {

struct Work {
  void (*run)(void*);
  void* context;
};
inline __global__ void run_kernel(Work work) { work.run(work.context); }
inline void run(cudaStream_t stream, void (*work)(void*), void* context) { LAUNCH(run_kernel, 1, 1, 0, stream, Work{work, context}); }

/** A function that the stand-in has and cuDNN does not. */
template <class F>
F* function(const char* name) {
  void* const library = dlopen(CUDNN_STAND_IN, RTLD_NOW | RTLD_LOCAL);
  F* const f = library ? reinterpret_cast<F*>(dlsym(library, name)) : nullptr;
  if (!f) fail(std::string("the stand-in for cuDNN has no ") + name);
  return f;
}

}  // namespace stand_in

/** TVN_CUDNN is the stand-in, whose convolutions are kernels of the emulation. Everything that was created must be destroyed before it. */
class WithStandIn {
 public:
  WithStandIn() : setting_("TVN_CUDNN", CUDNN_STAND_IN), before_(objects()) {
    stand_in::function<void(void (*)(cudaStream_t, void (*)(void*), void*))>("cudnn_stand_in_run_by")(stand_in::run);
  }
  ~WithStandIn() { EXPECT(objects() == before_); }

 private:
  static int objects() { return stand_in::function<int()>("cudnn_stand_in_objects")(); }
  WithEnvironment setting_;
  int before_;
};
#endif

}  // namespace tvn::cuda::test
