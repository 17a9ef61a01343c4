#include "graph/passes.h"

#include <algorithm>
#include <cmath>

namespace tvn {
namespace {

int uses(const Graph& graph, const std::string& tensor) {
  int count = graph.output == tensor;
  for (const Op& op : graph.ops) count += static_cast<int>(std::count(op.inputs.begin(), op.inputs.end(), tensor));
  return count;
}

/** Index of the op that writes the tensor; the number of ops for the graph's input. */
size_t producer(const Graph& graph, const std::string& tensor) {
  return static_cast<size_t>(std::find_if(graph.ops.begin(), graph.ops.end(), [&](const Op& op) { return op.output == tensor; }) -
                             graph.ops.begin());
}

/** The op that writes the tensor, if nothing else reads the tensor and no function is applied yet. */
Op* open_producer(Graph& graph, const std::string& tensor) {
  const size_t index = producer(graph, tensor);
  if (index == graph.ops.size() || uses(graph, tensor) != 1 || graph.ops[index].attributes.function != Function::none) return nullptr;
  return &graph.ops[index];
}

bool convolves(const Op& op) { return op.kind == OpKind::conv || op.kind == OpKind::depthwise; }

void erase(Graph& graph, size_t index) { graph.ops.erase(graph.ops.begin() + static_cast<std::ptrdiff_t>(index)); }

}  // namespace

void fold_batch_norms(Graph& graph, ParameterValues& values) {
  for (size_t i = 0; i < graph.ops.size();) {
    const Op norm = graph.ops[i];
    Op* conv = norm.kind == OpKind::batch_norm ? open_producer(graph, norm.inputs[0]) : nullptr;
    if (!conv || !convolves(*conv) || conv->inputs.size() > 1) {
      i++;
      continue;
    }
    const auto &gamma = norm.parameters[0], &beta = norm.parameters[1], &mean = norm.parameters[2], &variance = norm.parameters[3];
    const std::string bias = conv->parameters.size() > 1 ? conv->parameters[1] : "";
    const size_t channels = values.at(gamma).size();
    std::vector<float> scale(channels), shift(channels);
    for (size_t c = 0; c < channels; c++) {
      const double factor = values.at(gamma)[c] / std::sqrt(static_cast<double>(values.at(variance)[c]) + batch_norm_epsilon);
      const double before = bias.empty() ? 0 : values.at(bias)[c];
      scale[c] = static_cast<float>(factor);
      shift[c] = static_cast<float>(values.at(beta)[c] + (before - values.at(mean)[c]) * factor);
    }
    const std::span<const float> weight = values.at(conv->parameters[0]);
    std::vector<float> scaled(weight.size());
    for (size_t k = 0; k < scaled.size(); k++) scaled[k] = weight[k] * scale[k % channels];
    values.own(conv->parameters[0], std::move(scaled));
    values.own(beta, std::move(shift));
    for (const std::string& gone : {gamma, mean, variance, bias}) graph.parameters.erase(gone);
    conv->parameters = {conv->parameters[0], beta};
    conv->attributes.function = norm.attributes.function;
    conv->output = norm.output;
    erase(graph, i);
  }
}

void fuse_activations(Graph& graph, Purpose purpose) {
  for (size_t i = 0; i < graph.ops.size();) {
    const Op activation = graph.ops[i];
    Op* before = activation.kind == OpKind::activation ? open_producer(graph, activation.inputs[0]) : nullptr;
    const Function function = activation.attributes.function;
    const bool fits = before && (before->kind == OpKind::batch_norm ||
                                 (before->kind == OpKind::add && (purpose == Purpose::inference || function == Function::relu)) ||
                                 (convolves(*before) && purpose == Purpose::inference));
    if (!fits) {
      i++;
      continue;
    }
    before->attributes.function = function;
    before->output = activation.output;
    erase(graph, i);
  }
}

void fuse_residuals(Graph& graph) {
  for (size_t i = 0; i < graph.ops.size(); i++) {
    const Op add = graph.ops[i];
    if (add.kind != OpKind::add || add.inputs[0] == add.inputs[1]) continue;
    // the summand written last is the warmest in cache: better read as the residual's partner than as the residual
    const size_t first = producer(graph, add.inputs[0]), second = producer(graph, add.inputs[1]);
    for (const int partner : {second > first ? 1 : 0, second > first ? 0 : 1}) {
      const Op* conv = open_producer(graph, add.inputs[static_cast<size_t>(partner)]);
      if (!conv || conv->kind != OpKind::conv || conv->inputs.size() > 1) continue;
      Op fused = *conv;
      fused.inputs.push_back(add.inputs[static_cast<size_t>(1 - partner)]);
      fused.attributes.function = add.attributes.function;
      fused.output = add.output;
      const size_t from = producer(graph, conv->output);
      graph.ops[i] = std::move(fused);
      erase(graph, from);
      i--;
      break;
    }
  }
}

}  // namespace tvn
