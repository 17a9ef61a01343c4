// Dense and depthwise convolutions with everything that one kernel can do at once: what comes before or after them, gates, means.
#pragma once

#include "cuda/runtime/inference_cudnn.h"
#include "cuda/runtime/inference_vectors.h"

namespace tvn::cuda {

class InferenceConvolutions {
 public:
  InferenceConvolutions(InferenceBuilder& builder, InferenceVectors& vectors) : builder_(builder), vectors_(vectors), cudnn_(builder) {}

  /** The clips' bytes and the pointwise convolution that reads them, and nobody else does. False if that is not so. */
  bool lower_stem(const Node& normalize);
  /** A convolution of maps, with what can be fused into its kernel. */
  void lower(const Node& conv);
  /** A spatial convolution with what follows over time and pointwise, as far as nobody else reads what lies between. False if it does not
   * pay. */
  bool lower_block(const Node& node);

 private:
  /** What scales a convolution's channels: a tensor, or the last layer of a gate, which the kernel computes itself. */
  struct Scaling {
    int scale = -1, x = -1, multiply = -1;
    int64_t w = -1, bias = -1;
    int inputs = 0;
    bool gates() const { return x >= 0; }
    ConvGate bind(const Binding& b) const { return {b.floats(x), inputs, b.weight<half>(w), b.weight<float>(bias), b.floats(multiply)}; }
  };
  /** Takes the gate in if it may be computed there; adds what is read. */
  Scaling scaling(const Node& node, bool may_gate, std::vector<int>& nodes, std::vector<int>& reads);

  /** A pointwise convolution whose result only a window of single channels reads. */
  bool lower_window(const Node& conv);
  void lower_plain(const Node& conv);
  /** The mean over the clip of a tensor, which its last kernel can take; null if there is none. */
  const Node* mean_over_clip(int tensor) const;
  /** Takes that mean into the step of these nodes; −1 if there is none. */
  int take_mean(int tensor, std::vector<int>& nodes, std::vector<int>& writes);
  /** Pooling over time that can happen in the epilogue of the convolution before it; null if there is none. */
  const Node* pool_over_time(const Node& conv) const;

  InferenceBuilder& builder_;
  InferenceVectors& vectors_;
  InferenceCudnn cudnn_;
};

}  // namespace tvn::cuda
