// Graphs for the tests of passes, plans and trainers, built op by op.
#pragma once

#include <initializer_list>
#include <map>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "graph/passes.h"
#include "test/random.h"

namespace tvn::test {

/** Builds a Graph and random parameters for it. Tensors are named by the op that writes them. */
class GraphBuilder {
 public:
  GraphBuilder(Random& random, Shape clip) : random_(random) {
    graph_.input = "clip";
    graph_.input_shape = clip;
    op(OpKind::normalize, "normalized", {"clip"});
  }

  Op& op(OpKind kind, const std::string& name, std::vector<std::string> inputs, std::vector<std::string> parameters = {}) {
    return graph_.ops.emplace_back(Op{kind, name, std::move(inputs), name, std::move(parameters), {}});
  }

  std::string conv(const std::string& name, const std::string& x, Int3 kernel, Int3 stride, int64_t channels, int64_t outputs,
                   bool bias = false) {
    Op& o = op(OpKind::conv, name, {x},
               {parameter(name + ".weight", {kernel.t, kernel.h, kernel.w, channels, outputs}, 0.5),
                bias ? parameter(name + ".bias", {outputs}, 0.5) : ""});
    o.attributes.kernel = kernel;
    o.attributes.stride = stride;
    return name;
  }
  std::string depthwise(const std::string& name, const std::string& x, int k, int s, int64_t channels) {
    Op& o = op(OpKind::depthwise, name, {x}, {parameter(name + ".weight", {k, k, channels}, 0.5), ""});
    o.attributes.kernel = {1, k, k};
    o.attributes.stride = {1, s, s};
    return name;
  }
  std::string norm(const std::string& x, int64_t channels) {
    const std::string name = x + ".norm";
    op(OpKind::batch_norm, name, {x},
       {parameter(name + ".gamma", {channels}, 0.3, 1), parameter(name + ".beta", {channels}, 0.5),
        parameter(name + ".mean", {channels}, 0.5), parameter(name + ".variance", {channels}, 0.4, 1)});
    return name;
  }
  std::string activation(const std::string& x, Function function) {
    op(OpKind::activation, x + ".activation", {x}).attributes.function = function;
    return x + ".activation";
  }
  std::string add(const std::string& name, const std::string& a, const std::string& b) { return op(OpKind::add, name, {a, b}).output; }
  std::string mean(const std::string& x, Extent extent = Extent::clip) {
    op(OpKind::mean, x + ".mean", {x}).attributes.extent = extent;
    return x + ".mean";
  }
  std::string gate(const std::string& x, const std::string& z) { return op(OpKind::gate, x + ".gated", {x, z}).output; }
  std::string dense(const std::string& x, int64_t channels, int64_t classes) {
    return op(OpKind::dense, "head", {x}, {parameter("head.weight", {channels, classes}, 0.5), parameter("head.bias", {classes}, 0.5)})
        .output;
  }

  std::string parameter(const std::string& name, std::vector<int64_t> extents, double spread, double center = 0) {
    size_t size = 1;
    for (const int64_t extent : extents) size *= static_cast<size_t>(extent);
    std::vector<float>& values = values_[name];
    values.resize(size);
    random_.fill<float>(values, spread, center);
    graph_.parameters[name] = std::move(extents);
    return name;
  }

  Graph build(const std::string& output) {
    graph_.output = output;
    return graph_;
  }
  std::map<std::string, std::vector<float>>& values() { return values_; }
  ParameterValues parameters() const {
    ParameterValues views;
    for (const auto& [name, value] : values_) views.borrow(name, value);
    return views;
  }

 private:
  Random& random_;
  Graph graph_;
  std::map<std::string, std::vector<float>> values_;
};

/** Two blocks with all that passes look for: norms, activations, a gate, a shortcut, a depthwise layer. 5 classes, hswish if `smooth`. */
inline std::string block_network(GraphBuilder& g, bool smooth = false) {
  const Function f = smooth ? Function::hswish : Function::relu;
  const std::string pointwise = g.activation(g.norm(g.conv("pointwise", "normalized", {1, 1, 1}, {1, 1, 1}, 3, 10), 10), f);
  const std::string spatial = g.activation(g.norm(g.conv("spatial", pointwise, {1, 3, 3}, {1, 2, 2}, 10, 12, true), 12), f);
  const std::string temporal = g.activation(g.norm(g.conv("temporal", spatial, {3, 1, 1}, {1, 1, 1}, 12, 12), 12), f);
  const std::string expand = g.norm(g.conv("expand", temporal, {1, 1, 1}, {1, 1, 1}, 12, 20), 20);
  const std::string gated = g.gate(expand, g.conv("gate", g.mean(expand), {1, 1, 1}, {1, 1, 1}, 20, 20, true));
  const std::string shortcut = g.norm(g.conv("shortcut", "normalized", {1, 1, 1}, {1, 2, 2}, 3, 20), 20);
  const std::string first = g.activation(g.add("sum", gated, shortcut), f);
  const std::string depthwise = g.activation(g.norm(g.depthwise("depthwise", first, 3, 2, 20), 20), f);
  const std::string second =
      g.activation(g.add("sum2", depthwise, g.norm(g.conv("shortcut2", first, {1, 1, 1}, {1, 2, 2}, 20, 20), 20)), f);
  return g.dense(g.mean(second), 20, 5);
}

}  // namespace tvn::test
