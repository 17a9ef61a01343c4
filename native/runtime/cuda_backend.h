// The CUDA backend, a shared library beside this one (cuda/backend.h): finding it, loading it, and why there is none.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cuda/backend.h"

namespace tvn {

/** Why no network can run on a GPU. */
enum class CudaAbsence { none, bad_setting, off, not_built, unloadable, stale, no_device };
const char* cuda_absence_name(CudaAbsence absence);

/**
 * What TVN_CUDA says: `auto` (the default) and `on`: the backend is used where a GPU is asked for; `off`: never; `emulated`: its kernels
 * run on the CPU, for tests. Read on the thread that may also write the environment.
 */
std::string cuda_setting();

struct CudaBackend {
  const TvnCudaBackend* table;  // null: there is none
  CudaAbsence absence;
  std::string reason;  // one sentence, where there is none
};

/** Loads the library with that setting, at the first call; it is never unloaded. */
CudaBackend load_cuda_backend(const std::string& setting);

struct CudaDevices {
  CudaAbsence absence;
  std::string reason;  // one sentence, where there are none
  std::vector<TvnCudaDevice> devices;
};

/** The GPUs that networks can run on. The first call may take a second. */
CudaDevices cuda_devices(const std::string& setting);

/** The backend, where it has that device. Throws Error("ERR_DEVICE") with the reason. */
const TvnCudaBackend& require_cuda(const std::string& setting, int device);

/** A plan or trainer of the backend. */
template <class T>
using CudaHandle = std::unique_ptr<T, void (*)(T*)>;

/** Throws what a function of the table said. */
[[noreturn]] void throw_cuda_error(const TvnCudaError& error);

/** Calls a function of the table that can fail, with the error behind its arguments. */
template <class Function, class... Arguments>
void call_cuda(Function function, Arguments... arguments) {
  TvnCudaError error{};
  if (function(arguments..., &error) != 0) throw_cuda_error(error);
}

}  // namespace tvn
