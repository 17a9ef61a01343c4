#include "cuda/kernels/probe.h"

namespace tvn::cuda {
namespace {

__global__ void probe() {}

}  // namespace

cudaError_t find_code() {
  cudaFuncAttributes ignored;
  return cudaFuncGetAttributes(&ignored, probe);
}

}  // namespace tvn::cuda
