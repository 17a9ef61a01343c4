// Gates and the head: ops on vectors of clips, collected until something needs them and then launched as one chain.
#pragma once

#include <optional>

#include "cuda/kernels/vector.h"
#include "cuda/runtime/inference_builder.h"

namespace tvn::cuda {

class InferenceVectors {
 public:
  InferenceVectors(InferenceBuilder& builder, int resident_blocks);

  void add_conv(const Node& node);
  void add_dense(const Node& node);
  void add_activation(const Node& node);
  void add_gate(const Node& node);
  /** Launches what is waiting, if one of the tensors is among it. */
  void need(const std::vector<int>& tensors);
  void flush();

  /** The last layer of a gate, whose result nobody else reads: the convolution that it scales computes it. */
  struct Gate {
    std::vector<int> nodes;
    int x, multiply, inputs;
    int64_t w, bias;
  };
  /** Takes it out of what is waiting, if the scale is one with at most so many inputs. */
  std::optional<Gate> take_gate(int scale, int most_inputs);

 private:
  /** An op whose tensors have no addresses yet; −1: absent. */
  struct Waiting {
    std::vector<int> nodes;
    int x, times = -1, multiply = -1, y;
    int64_t w = -1, bias = -1;
    Function function = Function::none;
    bool reads(int tensor) const { return tensor == x || tensor == times || tensor == multiply; }
  };

  /** All that waits has as many rows. */
  void wait(Waiting op);
  void find_sigmoids();
  bool belongs_to_gate(const Node& conv) const;
  void add_product(const Node& conv, const Node& node, Function function, int multiply);

  InferenceBuilder& builder_;
  int resident_;
  std::vector<Waiting> waiting_;
};

}  // namespace tvn::cuda
