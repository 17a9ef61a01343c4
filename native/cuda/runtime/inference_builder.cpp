#include "cuda/runtime/inference_builder.h"

namespace tvn::cuda {

/** A mean is a vector, and so is everything that is made of vectors. */
InferenceBuilder::InferenceBuilder(const Network& network, int64_t batch, Weights& weights)
    : network_(network), batch_(batch), weights_(weights), taken_(network.program.nodes.size()) {
  inference_.places.resize(program().tensors.size());
  for (int i = 0; i < static_cast<int>(program().tensors.size()); i++) {
    const Extents e = extents(i);
    const Node* const from = producer(i);
    Place& p = place(i);
    if (!from)
      p = {Storage::bytes, static_cast<size_t>(e.rows()) * 3};
    else if (from->kind == OpKind::mean || (is_vector(from->inputs[0]) && from->kind != OpKind::attention))
      p = {Storage::vector, e.size() * sizeof(float)};
    else
      p = {Storage::halves, e.size() * sizeof(half)};
  }
}

const Node* InferenceBuilder::producer(int tensor) const {
  const int node = program().tensors[static_cast<size_t>(tensor)].producer;
  return node < 0 ? nullptr : &nodes()[static_cast<size_t>(node)];
}

const Node* InferenceBuilder::only_reader(int tensor) const {
  if (uses(tensor) != 1 || tensor == program().output) return nullptr;
  for (const Node& node : nodes())
    if (std::find(node.inputs.begin(), node.inputs.end(), tensor) != node.inputs.end()) return &node;
  return nullptr;
}

Step& InferenceBuilder::add_step(const char* kernel, std::vector<int> nodes, std::vector<int> reads, std::vector<int> writes) {
  Step& step = inference_.steps.emplace_back();
  step.kernel = kernel;
  step.nodes = std::move(nodes);
  step.reads = std::move(reads);
  step.writes = std::move(writes);
  for (const int node : step.nodes) step.macs += multiply_accumulates(program(), this->node(node)) * batch_;
  for (const std::vector<int>* list : {&step.reads, &step.writes})
    for (const int tensor : *list) step.bytes += static_cast<int64_t>(place(tensor).bytes);
  return step;
}

Step* InferenceBuilder::step_that_writes(int tensor) {
  for (Step& step : inference_.steps)
    if (std::find(step.writes.begin(), step.writes.end(), root(tensor)) != step.writes.end()) return &step;
  return nullptr;
}

int64_t InferenceBuilder::weight(const Node& node, size_t slot, bool rounded) {
  const int index = slot < node.parameters.size() ? node.parameters[slot] : -1;
  if (index < 0) return -1;
  const ParameterInfo& parameter = program().parameters[static_cast<size_t>(index)];
  const std::span<const float> values = network_.values[static_cast<size_t>(index)];
  return rounded ? weights_.add_halves(parameter, values) : weights_.add_floats(parameter, values);
}

std::string describe(const Extents& e) {
  return std::to_string(e.n) + "×" + std::to_string(e.t) + "×" + std::to_string(e.h) + "×" + std::to_string(e.w) + "×" +
         std::to_string(e.c);
}

std::string describe(const Window& k) {
  return "kernel " + std::to_string(k.kt) + "×" + std::to_string(k.kh) + "×" + std::to_string(k.kw) + ", stride " + std::to_string(k.st) +
         "×" + std::to_string(k.sh) + "×" + std::to_string(k.sw);
}

}  // namespace tvn::cuda
