// Whether this library holds code that the current device runs: what its architectures are, the build decides.
#pragma once

#include "cuda/device/platform.h"

namespace tvn::cuda {

/** cudaErrorNoKernelImageForDevice or cudaErrorInvalidDeviceFunction where it holds none. */
cudaError_t find_code();

}  // namespace tvn::cuda
