// Runs a graph op by op, every tensor in guarded memory of its own: what passes and plans are compared with.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "runtime/layer.h"
#include "test/random.h"

namespace tvn::test {

struct RunOptions {
  int64_t batch = 1;
  int threads = 1;
  Isa isa = Isa::reference;
};

/**
 * Logits of the clips. Calls seen(node, y, kernel) after each op, which may change y for the ops that follow. Tensors and scratch are NaN
 * before they are written, and a write past the end of one fails the test under the name of its op.
 */
template <class F>
std::vector<float> run_graph(const Graph& graph, const ParameterValues& values, std::span<const uint8_t> clips, const RunOptions& options,
                             const F& seen) {
  const Program program = check(graph);
  ThreadPool pool(options.threads);
  std::map<int, GuardedBuffer<float>> tensors;
  std::vector<size_t> last(program.tensors.size(), program.nodes.size());
  for (size_t i = 0; i < program.nodes.size(); i++)
    for (const int x : program.nodes[i].inputs)
      if (x >= 0 && x != program.output) last[static_cast<size_t>(x)] = i;
  for (size_t i = 0; i < program.nodes.size(); i++) {
    const Node& node = program.nodes[i];
    SCOPED_TRACE(node.name);
    const auto layer = make_layer(program, node, {options.batch, Purpose::inference, options.isa, options.threads});
    Operands at;
    for (const int x : node.inputs)
      at.x.push_back(x < 0 ? nullptr : x == program.input ? reinterpret_cast<const float*>(clips.data()) : tensors.at(x).data());
    for (const int p : node.parameters)  // inference writes none
      at.parameters.push_back(p < 0 ? nullptr : const_cast<float*>(values.at(program.parameters[static_cast<size_t>(p)].name).data()));
    GuardedBuffer<float> scratch(static_cast<int64_t>(layer->scratch()));
    at.scratch = scratch.data();
    GuardedBuffer<float>& y = tensors.try_emplace(node.output, batched(program.shape(node.output), options.batch).size()).first->second;
    at.y = y.data();
    layer->pack(at, pool);
    for (size_t slot = 0; slot < at.parameters.size(); slot++)
      if (layer->packs(slot)) at.parameters[slot] = nullptr;
    layer->forward(at, {pool, 0});
    for (const auto& [index, tensor] : tensors) tensor.expect_intact();
    seen(node, std::span<float>(y), layer->kernel());
    std::erase_if(tensors, [&](const auto& tensor) { return last[static_cast<size_t>(tensor.first)] == i; });
  }
  const GuardedBuffer<float>& logits = tensors.at(program.output);
  return {logits.begin(), logits.end()};
}

/** Logits of `batch` clips by the reference kernels. */
inline std::vector<float> run_graph(const Graph& graph, const ParameterValues& values, const std::vector<uint8_t>& clips, int64_t batch) {
  return run_graph(graph, values, clips, {.batch = batch}, [](const Node&, std::span<float>, const char*) {});
}

inline std::vector<uint8_t> random_clips(Random& random, const Graph& graph, int64_t batch) {
  std::vector<uint8_t> clips(static_cast<size_t>(batch * graph.input_shape.size()));
  for (uint8_t& byte : clips) byte = static_cast<uint8_t>(random.bits());
  return clips;
}

}  // namespace tvn::test
