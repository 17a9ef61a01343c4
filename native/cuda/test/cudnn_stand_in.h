// What tests need to have cudnn_stand_in.cpp loaded in cuDNN's place.
#pragma once

#include <dlfcn.h>

#include <string>

#include "cuda/test/drive_stand_in.h"
#include "cuda/test/test.h"

namespace tvn::cuda::test {

#ifdef TVN_EMULATION
namespace stand_in {

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
    if (!drive_stand_in(CUDNN_STAND_IN)) fail("the stand-in for cuDNN takes no function that runs its work");
  }
  ~WithStandIn() { EXPECT(objects() == before_); }

 private:
  static int objects() { return stand_in::function<int()>("cudnn_stand_in_objects")(); }
  WithEnvironment setting_;
  int before_;
};
#endif

}  // namespace tvn::cuda::test
