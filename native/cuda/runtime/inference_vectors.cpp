#include "cuda/runtime/inference_vectors.h"

#include "core/error.h"

namespace tvn::cuda {

InferenceVectors::InferenceVectors(InferenceBuilder& builder, int resident_blocks) : builder_(builder), resident_(resident_blocks) {
  find_sigmoids();
}

/** z of which everybody wants the sigmoid is stored as that. */
void InferenceVectors::find_sigmoids() {
  std::vector<int> sigmoids(builder_.program().tensors.size());
  for (const Node& node : builder_.nodes()) {
    const bool of_vectors = builder_.is_vector(node.output);
    if (node.kind == OpKind::gate && of_vectors) sigmoids[static_cast<size_t>(node.inputs[1])]++;
    if (node.kind == OpKind::activation && of_vectors && node.attributes.function == Function::sigmoid)
      sigmoids[static_cast<size_t>(node.inputs[0])]++;
  }
  for (int i = 0; i < static_cast<int>(sigmoids.size()); i++) {
    const Node* const from = builder_.producer(i);
    const int count = sigmoids[static_cast<size_t>(i)];
    builder_.place(i).sigmoid = count > 0 && count == builder_.uses(i) && from->kind == OpKind::conv && !from->has(2) &&
                                from->attributes.function == Function::none;
  }
}

void InferenceVectors::wait(Waiting op) {
  const auto rows = [&](int tensor) { return builder_.extents(tensor).n * builder_.extents(tensor).t; };
  for (const int tensor : {op.x, op.multiply})
    if (tensor >= 0 && rows(tensor) != rows(op.y))
      throw Error("ERR_GRAPH_INVALID", builder_.node(op.nodes[0]).name + ": vectors of clips and of frames do not mix on the GPU");
  if (!waiting_.empty() && rows(waiting_[0].y) != rows(op.y)) flush();
  waiting_.push_back(std::move(op));
}

/** A convolution that is only the z of a gate of vectors is computed there: the gate is what its sigmoid is multiplied by. */
bool InferenceVectors::belongs_to_gate(const Node& conv) const {
  const Node* const gate = builder_.only_reader(conv.output);
  return gate && gate->kind == OpKind::gate && gate->inputs[1] == conv.output && conv.attributes.function == Function::none &&
         !conv.has(2) && builder_.is_vector(gate->output);
}

void InferenceVectors::add_conv(const Node& node) {
  const Function function = node.attributes.function;
  // a scale is positive, so that it may be applied after a relu
  const bool scales = node.has(2), scalable = function == Function::none || function == Function::relu;
  if (node.has(1) || node.has(3) || !is_one(node.attributes.kernel) || (scales && !scalable))
    throw Error("ERR_GRAPH_INVALID", node.name + ": the GPU has no kernel for such a convolution of a mean");
  if (belongs_to_gate(node)) return;
  add_product(node, node, builder_.place(node.output).sigmoid ? Function::sigmoid : function, scales ? node.inputs[2] : -1);
}

void InferenceVectors::add_dense(const Node& node) {
  if (!builder_.is_vector(node.inputs[0])) throw Error("ERR_GRAPH_INVALID", node.name + ": a dense layer reads a mean on the GPU");
  add_product(node, node, Function::none, -1);
}

/** The product of `conv` as the output of `node`, which is the convolution itself or the gate after it. */
void InferenceVectors::add_product(const Node& conv, const Node& node, Function function, int multiply) {
  Waiting op{{builder_.index(conv)}, conv.inputs[0], -1, multiply, node.output};
  if (&conv != &node) op.nodes.push_back(builder_.index(node));
  op.w = builder_.halves(conv, 0);
  op.bias = builder_.floats(conv, 1);
  op.function = function;
  wait(std::move(op));
}

void InferenceVectors::add_activation(const Node& node) {
  const int x = node.inputs[0];
  if (builder_.place(x).sigmoid) {
    builder_.place(node.output).alias = x;
    for (Waiting& op : waiting_)
      if (op.y == x) op.nodes.push_back(builder_.index(node));
    return;
  }
  wait({{builder_.index(node)}, x, -1, -1, node.output, -1, -1, node.attributes.function});
}

/** y = x · sigmoid(z). */
void InferenceVectors::add_gate(const Node& node) {
  const int x = node.inputs[0], z = node.inputs[1];
  const Node* const conv = builder_.producer(z);
  if (conv && conv->kind == OpKind::conv && belongs_to_gate(*conv)) return add_product(*conv, node, Function::sigmoid, x);
  const bool stored = builder_.place(z).sigmoid;
  wait({{builder_.index(node)}, z, -1, x, node.output, -1, -1, stored ? Function::none : Function::sigmoid});
}

void InferenceVectors::need(const std::vector<int>& tensors) {
  for (const int tensor : tensors)
    for (const Waiting& op : waiting_)
      if (tensor >= 0 && op.y == builder_.root(tensor)) return flush();
}

void InferenceVectors::flush() {
  for (size_t first = 0; first < waiting_.size(); first += longest_vector_chain) {
    const size_t end = std::min(waiting_.size(), first + longest_vector_chain);
    // an op's level is one above the highest of what it reads; the chain wants levels in ascending order
    std::vector<std::pair<int, Waiting>> ops;
    for (size_t i = first; i < end; i++) {
      int level = 0;
      for (const auto& [before, op] : ops)
        for (const int tensor : {waiting_[i].x, waiting_[i].times, waiting_[i].multiply})
          if (tensor >= 0 && builder_.root(tensor) == op.y) level = std::max(level, before + 1);
      ops.emplace_back(level, waiting_[i]);
    }
    std::stable_sort(ops.begin(), ops.end(), [](const auto& a, const auto& b) { return a.first < b.first; });

    std::vector<int> nodes, reads, writes;
    for (const auto& [level, op] : ops) {
      nodes.insert(nodes.end(), op.nodes.begin(), op.nodes.end());
      for (const int tensor : {op.x, op.times, op.multiply})
        if (tensor >= 0) reads.push_back(tensor);
      writes.push_back(op.y);
    }
    const Extents e = builder_.extents(ops[0].second.y);
    struct Op {
      Waiting op;
      int level, inputs, outputs;
    };
    std::vector<Op> chain;
    int64_t weights = 0;
    for (const auto& [level, op] : ops) {
      chain.push_back({op, level, builder_.extents(op.x).c, builder_.extents(op.y).c});
      if (op.w >= 0) weights += int64_t{2} * chain.back().inputs * chain.back().outputs;
    }
    Step& step = builder_.add_step("vector_chain", std::move(nodes), std::move(reads), std::move(writes));
    step.bytes += weights;
    step.launch = [chain, rows = e.n * e.t, resident = resident_](const Binding& b, size_t, cudaStream_t stream) {
      VectorChain args{rows, static_cast<int>(chain.size()), {}, {}};
      for (size_t i = 0; i < chain.size(); i++) {
        const auto& [op, level, inputs, outputs] = chain[i];
        args.op[i] = {inputs,
                      outputs,
                      b.floats(op.x),
                      b.floats(op.times),
                      b.weight<half>(op.w),
                      b.weight<float>(op.bias),
                      op.function,
                      b.floats(op.multiply),
                      b.floats(op.y)};
        args.level[i] = level;
      }
      vector_chain(args, resident, b.barrier, stream);
    };
  }
  waiting_.clear();
}

std::optional<InferenceVectors::Gate> InferenceVectors::take_gate(int scale, int most_inputs) {
  const int root = builder_.root(scale);
  const auto op = std::find_if(waiting_.begin(), waiting_.end(), [&](const Waiting& w) { return w.y == root; });
  if (op == waiting_.end() || op->w < 0 || op->function != Function::sigmoid || op->times >= 0) return std::nullopt;
  const int inputs = builder_.extents(op->x).c;
  // the sigmoid's activation, which is the tensor under another name, is the one reader of it, and the convolution that one's
  if (inputs > most_inputs || builder_.uses(root) != 1 || builder_.uses(scale) != 1) return std::nullopt;
  const Gate gate{op->nodes, op->x, op->multiply, inputs, op->w, op->bias};
  waiting_.erase(op);
  need({gate.x, gate.multiply});
  return gate;
}

}  // namespace tvn::cuda
