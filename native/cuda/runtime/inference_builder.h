// What lowering to inference steps has at hand: the program, where its tensors lie, and the steps so far.
#pragma once

#include "cuda/runtime/step.h"
#include "cuda/runtime/weights.h"

namespace tvn::cuda {

class InferenceBuilder {
 public:
  InferenceBuilder(const Network& network, int64_t batch, Weights& weights);

  const Program& program() const { return network_.program; }
  const std::vector<Node>& nodes() const { return network_.program.nodes; }
  const Node& node(int index) const { return nodes()[static_cast<size_t>(index)]; }
  int index(const Node& node) const { return static_cast<int>(&node - nodes().data()); }
  Extents extents(int tensor) const { return extents_of(network_.program, tensor, batch_); }
  int channels(int tensor) const { return static_cast<int>(network_.program.shape(tensor).c); }
  int uses(int tensor) const { return network_.program.tensors[static_cast<size_t>(tensor)].uses; }
  /** The node that writes the tensor; null for the clips. */
  const Node* producer(int tensor) const;
  /** The node that reads the tensor, if exactly one does and in one place; else null. */
  const Node* only_reader(int tensor) const;

  Place& place(int tensor) { return inference_.places[static_cast<size_t>(tensor)]; }
  const Place& place(int tensor) const { return inference_.places[static_cast<size_t>(tensor)]; }
  /** The tensor whose memory it is. */
  int root(int tensor) const { return root_of(inference_.places, tensor); }
  bool is_vector(int tensor) const { return place(tensor).storage == Storage::vector; }

  /** A step of these nodes that reads and writes these tensors. */
  Step& add_step(const char* kernel, std::vector<int> nodes, std::vector<int> reads, std::vector<int> writes);
  /** The step that writes the tensor, so far; null if none does. */
  Step* step_that_writes(int tensor);

  /** Where the parameter in a slot will lie, rounded to halves or not; −1 where it is absent. */
  int64_t halves(const Node& node, size_t slot) { return weight(node, slot, true); }
  int64_t floats(const Node& node, size_t slot) { return weight(node, slot, false); }

  /** Where a parameter that is there will lie as `pack` has it: pack(StoredParameter, its dense values) gives halves. */
  template <class Pack>
  int64_t packed(const Node& node, size_t slot, const Pack& pack) {
    const auto index = static_cast<size_t>(node.parameters[slot]);
    return weights_.add_packed(pack(stored_parameter(program().parameters[index]), network_.values[index]));
  }

  /** The node is computed by the step of these nodes. */
  void take(const Node& node, std::vector<int>& nodes) {
    taken_[static_cast<size_t>(index(node))] = 1;
    nodes.push_back(index(node));
  }
  bool is_taken(const Node& node) const { return taken_[static_cast<size_t>(index(node))] != 0; }

  Inference result() { return std::move(inference_); }

 private:
  int64_t weight(const Node& node, size_t slot, bool rounded);

  const Network& network_;
  int64_t batch_;
  Weights& weights_;
  Inference inference_;
  std::vector<char> taken_;  // by node: computed by a step of another
};

/** "1×2×7×7×64" as stored. */
std::string describe(const Extents& e);
std::string describe(const Window& window);

}  // namespace tvn::cuda
