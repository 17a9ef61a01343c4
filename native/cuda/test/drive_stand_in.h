// How the work of cudnn_stand_in.cpp comes into a stream: it leaves that to who loads it.
#pragma once

#include <dlfcn.h>

#include <string>

#include "cuda/device/platform.h"

namespace tvn::cuda::test {

#ifdef TVN_EMULATION
namespace stand_in {

struct Work {  // not as pointers: what they point to is not the device's
  void (*run)(void*);
  void* context;
};
inline __global__ void run_kernel(Work work) { work.run(work.context); }
inline void run(cudaStream_t stream, void (*work)(void*), void* context) { LAUNCH(run_kernel, 1, 1, 0, stream, Work{work, context}); }

}  // namespace stand_in

/** Its convolutions are kernels of the emulation from now on. False where the library is not the stand-in. */
inline bool drive_stand_in(const std::string& path) {
  using RunBy = void(void (*)(cudaStream_t, void (*)(void*), void*));
  void* const library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  RunBy* const run_by = library ? reinterpret_cast<RunBy*>(dlsym(library, "cudnn_stand_in_run_by")) : nullptr;
  if (run_by) run_by(stand_in::run);
  return run_by;
}
#else
/** There is none on a GPU. */
inline bool drive_stand_in(const std::string&) { return false; }
#endif

}  // namespace tvn::cuda::test
