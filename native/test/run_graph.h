// Runs a graph op by op with the reference kernels, every tensor in memory of its own: what passes and plans are compared with.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "runtime/layer.h"
#include "test/random.h"

namespace tvn::test {

/** Logits of `batch` clips. */
inline std::vector<float> run_graph(const Graph& graph, const ParameterValues& values, const std::vector<uint8_t>& clips, int64_t batch) {
  const Program program = check(graph);
  ThreadPool pool(1);
  std::vector<std::vector<float>> tensors(program.tensors.size());
  std::map<int, std::vector<float>> parameters;
  for (size_t i = 0; i < program.nodes.size(); i++) {
    const Node& node = program.nodes[i];
    const auto layer = make_layer(program, node, {batch, Purpose::inference, Isa::reference, 1});
    Operands at;
    for (const int x : node.inputs)
      at.x.push_back(x < 0                ? nullptr
                     : x == program.input ? reinterpret_cast<const float*>(clips.data())
                                          : tensors[static_cast<size_t>(x)].data());
    for (const int p : node.parameters) {
      if (p >= 0) {
        const auto value = values.at(program.parameters[static_cast<size_t>(p)].name);
        parameters[p].assign(value.begin(), value.end());
      }
      at.parameters.push_back(p < 0 ? nullptr : parameters[p].data());
    }
    std::vector<float> scratch(layer->scratch());
    at.scratch = scratch.data();
    std::vector<float>& y = tensors[static_cast<size_t>(node.output)];
    y.resize(static_cast<size_t>(batched(program.shape(node.output), batch).size()));
    at.y = y.data();
    layer->pack(at, pool);
    layer->forward(at, {pool, 0});
  }
  return tensors[static_cast<size_t>(program.output)];
}

inline std::vector<uint8_t> random_clips(Random& random, const Graph& graph, int64_t batch) {
  std::vector<uint8_t> clips(static_cast<size_t>(batch * graph.input_shape.size()));
  for (uint8_t& byte : clips) byte = static_cast<uint8_t>(random.bits());
  return clips;
}

}  // namespace tvn::test
