// cuDNN as a way to do a convolution of a plan.
#pragma once

#include <memory>

#include "cuda/runtime/cudnn_conv.h"
#include "cuda/runtime/inference_builder.h"

namespace tvn::cuda {

/**
 * Where TVN_CUDNN asks for it (off, on, or a path), steps of one convolution with bias, function and perhaps a residual have the way
 * "cuDNN" behind all others: its convolution, then epilogue.h. What is fused further than that is never offered to it. Its results have
 * other bits than ours, so keys of choices name its version, and without TVN_CUDNN nothing of it is in a plan.
 */
class InferenceCudnn {
 public:
  explicit InferenceCudnn(InferenceBuilder& builder) : builder_(builder) {}

  /** Adds the way to a complete step of this convolution, if cuDNN does what it does. `bias`: where it lies; −1 if there is none. */
  void offer(Step& step, const Node& conv, const ConvShape& shape, int64_t bias);

 private:
  std::shared_ptr<const CudnnConv> find(const std::string& name, const ConvShape& shape);

  InferenceBuilder& builder_;
  std::shared_ptr<const CudnnHandle> handle_;
  bool refused_ = false;  // there is no handle to be had
};

/** With TVN_VERBOSE=dispatch a line on stderr: our own kernel does it instead. */
void tell_cudnn_refusal(const std::string& what, const CudnnError& error);

}  // namespace tvn::cuda
