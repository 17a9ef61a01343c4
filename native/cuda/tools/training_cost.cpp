#include "cuda/tools/training_cost.h"

#include "cuda/kernels/conv.h"
#include "cuda/kernels/depthwise.h"
#include "cuda/kernels/gate.h"
#include "cuda/kernels/mean.h"
#include "cuda/runtime/trainer.h"
#include "graph/passes.h"

namespace tvn::cuda::tools {
namespace {

class Costs {
 public:
  Costs(const Program& program, int64_t batch) : program_(program), batch_(batch), wanted_(program.tensors.size()), has_(wanted_) {}

  std::vector<KernelCost> all() {
    for (const Node& node : program_.nodes) forward(at(node));
    add("loss", "loss", "head.cu", 0, 2 * bytes(program_.output));
    has_[static_cast<size_t>(program_.output)] = 1;
    for (size_t i = program_.nodes.size(); i-- > 0;) {
      const Node& node = program_.nodes[i];
      if (!has_[static_cast<size_t>(node.output)]) continue;
      const Layer layer = at(node);
      gradients_ = {};
      for (size_t input = node.inputs.size(); input-- > 0;) gradients_.insert(gradients_.begin(), gradient_bytes(node.inputs[input]));
      backward(layer);
    }
    update();
    return std::move(costs_);
  }

 private:
  struct Layer {
    const Node& node;
    Extents x, y;
    int64_t from, to;  // bytes of x and y
    int64_t dy;        // of y's gradient
    int64_t macs;
  };

  Extents extents(int tensor) const { return extents_of(program_, tensor, batch_); }
  int64_t bytes(int tensor) const {
    if (tensor == program_.input) return program_.shape(tensor).size() * batch_;
    return static_cast<int64_t>(extents(tensor).size()) * (is_f32(program_, tensor) ? 4 : 2);
  }
  /** Gradients of logits are halves, but for those that a temporal softmax makes. */
  int64_t gradient(int tensor) const {
    const bool pooled =
        program_.nodes[static_cast<size_t>(program_.tensors[static_cast<size_t>(tensor)].producer)].kind == OpKind::temporal_softmax;
    return static_cast<int64_t>(extents(tensor).size()) * (pooled ? 4 : 2);
  }

  Layer at(const Node& node) {
    // some trainable parameter lies before it
    char wants = 0;
    for (const int p : node.parameters) wants |= p >= 0 && program_.parameters[static_cast<size_t>(p)].trainable;
    for (const int x : node.inputs) wants |= wanted_[static_cast<size_t>(x)];
    wanted_[static_cast<size_t>(node.output)] = wants;
    return {node,
            extents(node.inputs[0]),
            extents(node.output),
            bytes(node.inputs[0]),
            bytes(node.output),
            gradient(node.output),
            multiply_accumulates(program_, node) * batch_};
  }

  /** Written or, where there is one already, read and written; 0: none is wanted. */
  int64_t gradient_bytes(int tensor) {
    const auto index = static_cast<size_t>(tensor);
    if (!wanted_[index]) return 0;
    const int64_t size = gradient(tensor);
    return std::exchange(has_[index], 1) ? 2 * size : size;
  }

  void add(const std::string& name, const char* kernel, const char* file, int64_t macs, int64_t bytes) {
    costs_.push_back({name, kernel, file, macs, bytes});
  }
  /** Sums by a kernel or, where they are cut into parts, by two. */
  void add_sums(const Layer& l, const char* kernel, const char* file, const char* parts_file, int64_t macs, int64_t read, int64_t written,
                size_t workspace) {
    const auto parts = static_cast<int64_t>(workspace);
    add(l.node.name, kernel, file, macs, read + (parts > 0 ? parts : written));
    if (parts > 0) add(l.node.name, "parts", parts_file, 0, parts + written);
  }

  static int64_t weights(const Layer& l) {
    return int64_t{taps(window_of(l.node.window))} * (l.node.kind == OpKind::depthwise ? 1 : l.x.c) * l.y.c;
  }

  void forward(const Layer& l) {
    const std::string& name = l.node.name;
    const int64_t moved = l.from + l.to;
    switch (l.node.kind) {
      case OpKind::normalize: return add(name, "normalize", "elementwise.cu", 0, moved);
      case OpKind::conv:
      case OpKind::dense: return add(name, "conv", "conv.cu", l.macs, moved + 2 * weights(l));
      case OpKind::depthwise: return add(name, "depthwise", "depthwise.cu", l.macs, moved + 2 * weights(l));
      case OpKind::pool: return add(name, "pool", "pool.cu", 0, moved + winners(l));
      case OpKind::batch_norm:
        add(name, "moments", "batch_norm.cu", 0, l.from);
        add(name, "merge", "batch_norm.cu", 0, 0);
        return add(name, "norm", "batch_norm.cu", 0, moved);
      case OpKind::activation: return add(name, "activation", "elementwise.cu", 0, moved);
      case OpKind::add: return add(name, "add", "elementwise.cu", 0, l.from + moved);
      case OpKind::mean: return add_sums(l, "mean", "mean.cu", "rows.h", 0, l.from, l.to, mean_workspace(mean_shape(l)));
      case OpKind::gate: return add(name, "gate", "gate.cu", 0, moved);
      case OpKind::attention: return add(name, "attention", "attention.cu", l.macs, moved + keys_and_values(l));
      case OpKind::dropout: return add(name, "dropout", "elementwise.cu", 0, moved);
      case OpKind::temporal_softmax: return add(name, "temporal softmax", "head.cu", 0, moved);
    }
  }

  void backward(const Layer& l) {
    const std::string& name = l.node.name;
    const int64_t dx = gradients_[0];
    switch (l.node.kind) {
      case OpKind::normalize: return;
      case OpKind::conv:
      case OpKind::dense: {
        const Window window = l.node.kind == OpKind::conv ? window_of(l.node.window) : Window{};
        add_sums(l, "conv weight gradient", "conv_weight_gradient.cu", "conv_weight_gradient.cu", l.macs, l.from + l.dy, 4 * weights(l),
                 conv_weight_gradient_workspace({l.x, l.y, window}));
        if (l.node.parameters.size() > 1 && l.node.parameters[1] >= 0)
          add_sums(l, "bias gradient", "mean.cu", "rows.h", 0, l.dy, 0, mean_workspace({1, l.y.rows(), l.y.c}));
        if (dx > 0) add(name, "conv data gradient", "conv.cu", l.macs, l.dy + 2 * weights(l) + dx);
        return;
      }
      case OpKind::depthwise:
        add_sums(l, "depthwise weight gradient", "depthwise.cu", "rows.h", l.macs, l.from + l.dy, 4 * weights(l),
                 depthwise_weight_gradient_workspace({l.x, l.y, window_of(l.node.window)}));
        if (dx > 0) add(name, "depthwise data gradient", "depthwise.cu", l.macs, l.dy + 2 * weights(l) + dx);
        return;
      case OpKind::pool:
        if (dx > 0) add(name, "pool backward", "pool.cu", 0, l.dy + winners(l) + dx);
        return;
      case OpKind::batch_norm:
        add(name, "gradient sums", "batch_norm.cu", 0, l.from + l.dy);
        add(name, "merge", "batch_norm.cu", 0, 0);
        if (dx > 0) add(name, "norm backward", "batch_norm.cu", 0, l.from + l.dy + dx);
        return;
      case OpKind::activation:
        if (dx > 0) add(name, "activation backward", "elementwise.cu", 0, l.to + l.dy + dx);
        return;
      case OpKind::add:
        return add(name, "add backward", "elementwise.cu", 0,
                   (l.node.attributes.function == Function::none ? 0 : l.to) + l.dy + dx + gradients_[1]);
      case OpKind::mean:
        if (dx > 0) add(name, "mean backward", "mean.cu", 0, l.dy + dx);
        return;
      case OpKind::gate:
        return add_sums(l, "gate backward", "gate.cu", "rows.h", 0, l.from + l.dy + dx, gradients_[1],
                        gate_backward_workspace({l.x.n, l.x.positions(), l.x.c}));
      case OpKind::attention: {
        // macs are two products; both kernels compute the scores and their gradients, then one or two more
        const int64_t operands = l.from + keys_and_values(l) + l.dy;
        add(name, "row terms", "attention.cu", 0, l.to + l.dy);
        add(name, "attention backward", "attention.cu", 3 * l.macs / 2, operands + dx);
        return add(name, "attention backward", "attention.cu", 2 * l.macs, operands + gradients_[1] + gradients_[2]);
      }
      case OpKind::dropout:
        if (dx > 0) add(name, "dropout backward", "elementwise.cu", 0, l.dy + dx);
        return;
      case OpKind::temporal_softmax: return add(name, "temporal softmax backward", "head.cu", 0, l.from + l.dy + dx);
    }
  }

  /** Gradients once more; values, velocities and gradients are read, the first two and halves written. */
  void update() {
    int64_t size = 0;
    for (const ParameterInfo& parameter : program_.parameters) size += stored_parameter(parameter).size();
    add("update", "overflow", "update.cu", 0, 4 * size);
    add("update", "update", "update.cu", 0, (3 * 4 + 2 * 4 + 2) * size);
    add("update", "loss scale", "update.cu", 0, 0);
  }

  static int64_t winners(const Layer& l) { return l.node.attributes.pooling == Pooling::max ? 2 * static_cast<int64_t>(l.y.size()) : 0; }
  int64_t keys_and_values(const Layer& l) const { return bytes(l.node.inputs[1]) + bytes(l.node.inputs[2]); }
  static MeanShape mean_shape(const Layer& l) {
    const bool clip = l.node.attributes.extent == Extent::clip;
    return {clip ? l.x.n : l.x.n * l.x.t, clip ? l.x.positions() : l.x.h * l.x.w, l.x.c};
  }

  const Program& program_;
  int64_t batch_;
  std::vector<char> wanted_, has_;  // by tensor: its gradient, at all and so far
  std::vector<int64_t> gradients_;  // by input of the layer: bytes
  std::vector<KernelCost> costs_;
};

/** As trainers have it. */
Program program_of(const Subject& subject) {
  tvn::Graph graph = subject.graph;
  fuse_activations(graph, Purpose::training);
  return tvn::check(graph);
}

}  // namespace

std::vector<KernelCost> training_costs(const Subject& subject, int64_t batch) {
  const Program program = program_of(subject);
  return Costs(program, batch).all();
}

void record_training_step(const Subject& subject, int64_t batch) {
  Network network{program_of(subject), {}};
  for (const ParameterInfo& parameter : network.program.parameters) network.values.push_back(subject.parameters.at(parameter.name));
  TrainerOptions options{};
  options.momentum = 0.9f;
  Trainer(network, options).prepare(batch);
}

}  // namespace tvn::cuda::tools
