// A program, fused for inference, as steps for the GPU.
#pragma once

#include "cuda/runtime/step.h"
#include "cuda/runtime/weights.h"

namespace tvn::cuda {

/** `resident_blocks`: of cooperative kernels, see vector.h. Throws Error("ERR_GRAPH_INVALID") where the GPU has no kernel for something. */
Inference lower_inference(const Network& network, int64_t batch, int resident_blocks, Weights& weights);

}  // namespace tvn::cuda
