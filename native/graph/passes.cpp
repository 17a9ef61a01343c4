#include "graph/passes.h"

#include <algorithm>
#include <cmath>
#include <utility>

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
void insert(Graph& graph, size_t index, Op op) { graph.ops.insert(graph.ops.begin() + static_cast<std::ptrdiff_t>(index), std::move(op)); }

void absorb(Op& op, const Op& other) {
  op.absorbed.push_back(other.name);
  op.absorbed.insert(op.absorbed.end(), other.absorbed.begin(), other.absorbed.end());
}

const std::string& item(const std::vector<std::string>& list, size_t slot) {
  static const std::string absent;
  return slot < list.size() ? list[slot] : absent;
}

/** The convolution that writes the tensor, if an add or a gate may still go into it. */
const Op* open_sum(Graph& graph, const std::string& tensor) {
  const Op* op = open_producer(graph, tensor);
  return op && op->kind == OpKind::conv && item(op->inputs, 1).empty() && item(op->inputs, 3).empty() ? op : nullptr;
}

/** Puts the op in place of the add at i, whose place moves as the ops that it stands for go. */
void end_in(Graph& graph, size_t& i, Op op, const std::vector<std::string> gone) {
  const Op& add = graph.ops[i];
  op.attributes.function = add.attributes.function;
  op.output = add.output;
  absorb(op, add);
  graph.ops[i] = std::move(op);
  for (const std::string& tensor : gone) {
    erase(graph, producer(graph, tensor));
    i--;
  }
}

/** c = a·b for a [rows, inner], b [inner, columns], row by row: b is read once for four rows of a. */
std::vector<float> product(std::span<const float> a, std::span<const float> b, size_t inner, size_t columns) {
  const size_t rows = a.size() / inner;
  std::vector<float> c(rows * columns);
  for (size_t first = 0; first < rows; first += 4)
    for (size_t k = 0; k < inner; k++)
      for (size_t i = first; i < std::min(first + 4, rows); i++) {
        const float factor = a[i * inner + k];
        float* const to = &c[i * columns];
        const float* const from = &b[k * columns];
        for (size_t j = 0; j < columns; j++) to[j] += factor * from[j];
      }
  return c;
}

/** Linear in x, so that it may change places with a mean. */
bool is_linear(const Op& op) { return is_pointwise(op) && op.inputs.size() == 1 && op.attributes.function == Function::none; }

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
    for (size_t k = 0; k < scaled.size(); k += channels)
      for (size_t c = 0; c < channels; c++) scaled[k + c] = weight[k + c] * scale[c];
    values.own(conv->parameters[0], std::move(scaled));
    values.own(beta, std::move(shift));
    for (const std::string& gone : {gamma, mean, variance, bias}) graph.parameters.erase(gone);
    conv->parameters = {conv->parameters[0], beta};
    conv->attributes.function = norm.attributes.function;
    conv->output = norm.output;
    absorb(*conv, norm);
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
    absorb(*before, activation);
    erase(graph, i);
  }
}

void move_means(Graph& graph, ParameterValues& values) {
  std::map<std::pair<std::string, Extent>, std::string> means;
  for (size_t i = 0; i < graph.ops.size(); i++) {
    const Op mean = graph.ops[i];
    if (mean.kind != OpKind::mean) continue;
    const auto [known, is_new] = means.emplace(std::pair{mean.inputs[0], mean.attributes.extent}, mean.output);
    if (!is_new) {
      for (Op& op : graph.ops) std::replace(op.inputs.begin(), op.inputs.end(), mean.output, known->second);
      absorb(graph.ops[producer(graph, known->second)], mean);
      erase(graph, i--);
      continue;
    }
    const size_t from = producer(graph, mean.inputs[0]);
    if (from == graph.ops.size()) continue;
    Op after = graph.ops[from];  // what follows the mean instead of preceding it
    if (!is_linear(after) && after.kind != OpKind::gate) continue;
    Op before = mean;
    before.inputs = {after.inputs[0]};
    before.output = mean.output + "/" + after.name;
    after.name = mean.name + "/" + after.name;
    after.inputs[0] = before.output;
    after.output = mean.output;
    after.absorbed.clear();
    for (std::string& name : after.parameters) {
      if (name.empty()) continue;
      const std::string copy = after.name + "/" + name;
      graph.parameters[copy] = graph.parameters.at(name);
      values.borrow(copy, values.at(name));
      name = copy;
    }
    graph.ops[i] = std::move(before);
    insert(graph, i + 1, std::move(after));
    i--;  // the mean may move on
  }
}

void compose_convolutions(Graph& graph, ParameterValues& values) {
  for (size_t i = 0; i < graph.ops.size(); i++) {
    Op& second = graph.ops[i];
    const size_t from = is_pointwise(second) && second.inputs.size() == 1 ? producer(graph, second.inputs[0]) : graph.ops.size();
    if (from == graph.ops.size() || !is_linear(graph.ops[from])) continue;
    const Op first = graph.ops[from];
    const std::vector<int64_t> outer = graph.parameters.at(first.parameters[0]), inner = graph.parameters.at(second.parameters[0]);
    const int64_t narrow = outer[3], wide = outer[4], columns = inner[4];
    if (2 * narrow > wide) continue;

    const auto through = [&](const std::string& name) {
      return product(values.at(name), values.at(second.parameters[0]), static_cast<size_t>(wide), static_cast<size_t>(columns));
    };
    const std::string weight = second.name + "/" + first.name + ".weight", bias = second.name + "/" + first.name + ".bias";
    const std::string &first_bias = item(first.parameters, 1), second_bias = item(second.parameters, 1);
    std::vector<float> shift = first_bias.empty() ? std::vector<float>(static_cast<size_t>(columns)) : through(first_bias);
    for (size_t k = 0; !second_bias.empty() && k < shift.size(); k++) shift[k] += values.at(second_bias)[k];
    values.own(weight, through(first.parameters[0]));
    values.own(bias, std::move(shift));
    for (const std::string& name : second.parameters) graph.parameters.erase(name);
    graph.parameters[weight] = {1, 1, 1, narrow, columns};
    graph.parameters[bias] = {columns};
    second.parameters = {weight, bias};
    second.inputs = first.inputs;
    if (uses(graph, first.output) > 0) continue;
    absorb(second, first);
    for (const std::string& name : first.parameters) graph.parameters.erase(name);
    erase(graph, from);
    i--;
  }
}

void fuse_gates(Graph& graph) {
  for (size_t i = 0; i < graph.ops.size(); i++) {
    const Op gate = graph.ops[i];
    const Op* conv = gate.kind == OpKind::gate ? open_sum(graph, gate.inputs[0]) : nullptr;
    if (!conv || !is_pointwise(*conv)) continue;
    // sigmoid(z), times the scale that is there already
    const std::string before = item(conv->inputs, 2);
    Op scale{before.empty() ? OpKind::activation : OpKind::gate, gate.name + ".scale", {gate.inputs[1]}, gate.output + ".scale", {}, {}};
    if (before.empty())
      scale.attributes.function = Function::sigmoid;
    else
      scale.inputs = {before, gate.inputs[1]};
    Op fused = *conv;
    fused.inputs = {conv->inputs[0], "", scale.output};
    fused.output = gate.output;
    absorb(fused, gate);
    const size_t from = producer(graph, conv->output);
    graph.ops[i] = std::move(fused);
    insert(graph, i, std::move(scale));
    erase(graph, from);
  }
}

void fuse_shortcuts(Graph& graph) {
  for (size_t i = 0; i < graph.ops.size(); i++) {
    const Op add = graph.ops[i];
    if (add.kind != OpKind::add || add.inputs[0] == add.inputs[1]) continue;
    for (const size_t k : {0, 1}) {
      const Op *expand = open_sum(graph, add.inputs[k]), *shortcut = open_sum(graph, add.inputs[1 - k]);
      if (!expand || !shortcut || !is_pointwise(*expand) || !mixes_channels(*shortcut) || shortcut->inputs.size() > 1) continue;
      Op fused = *expand;
      fused.inputs = {expand->inputs[0], "", item(expand->inputs, 2), shortcut->inputs[0]};
      fused.parameters = {expand->parameters[0], item(expand->parameters, 1), shortcut->parameters[0], item(shortcut->parameters, 1)};
      fused.attributes.shortcut_stride = shortcut->attributes.stride;
      absorb(fused, *shortcut);
      end_in(graph, i, std::move(fused), {expand->output, shortcut->output});
      break;
    }
  }
}

void fuse_residuals(Graph& graph) {
  for (size_t i = 0; i < graph.ops.size(); i++) {
    const Op add = graph.ops[i];
    if (add.kind != OpKind::add || add.inputs[0] == add.inputs[1]) continue;
    // the summand written last is the warmest in cache: better read as the residual's partner than as the residual
    const size_t first = producer(graph, add.inputs[0]), second = producer(graph, add.inputs[1]);
    for (const size_t k : {second > first ? 1 : 0, second > first ? 0 : 1}) {
      const Op* conv = open_sum(graph, add.inputs[k]);
      if (!conv) continue;
      Op fused = *conv;
      fused.inputs.resize(std::max<size_t>(2, conv->inputs.size()));
      fused.inputs[1] = add.inputs[1 - k];
      end_in(graph, i, std::move(fused), {conv->output});
      break;
    }
  }
}

std::span<const InferencePass, inference_pass_count> inference_passes() {
  static constexpr InferencePass list[inference_pass_count] = {
      {"fold_batch_norms", fold_batch_norms},
      {"move_means", move_means},
      {"compose_convolutions", compose_convolutions},
      {"fuse_gates", [](Graph& graph, ParameterValues&) { fuse_gates(graph); }},
      {"fuse_activations", [](Graph& graph, ParameterValues&) { fuse_activations(graph, Purpose::inference); }},
      {"fuse_shortcuts", [](Graph& graph, ParameterValues&) { fuse_shortcuts(graph); }},
      {"fuse_residuals", [](Graph& graph, ParameterValues&) { fuse_residuals(graph); }},
  };
  return list;
}

void fuse_for_inference(Graph& graph, ParameterValues& values, PassSet passes) {
  for (size_t i = 0; i < inference_pass_count; i++)
    if (passes[i]) inference_passes()[i].run(graph, values);
}

}  // namespace tvn
