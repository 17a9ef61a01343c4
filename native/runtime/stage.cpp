#include "runtime/stage.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "runtime/dispatch.h"

namespace tvn {
namespace {

/** Of one clip: "2×9×9×3 → 2×5×5×8, kernel 1×3×3, stride 1×2×2". */
std::string describe_shapes(const Program& program, const Node& node) {
  std::string text;
  for (const int x : node.inputs)
    if (x >= 0) text += (text.empty() ? "" : " + ") + to_string(program.shape(x));
  text += " → " + to_string(program.shape(node.output));
  const auto extent = [](const Int3& e) { return std::to_string(e.t) + "×" + std::to_string(e.h) + "×" + std::to_string(e.w); };
  if (node.kind == OpKind::conv || node.kind == OpKind::depthwise || node.kind == OpKind::pool) {
    text += ", kernel " + extent(node.attributes.kernel);
    if (!is_one(node.attributes.stride)) text += ", stride " + extent(node.attributes.stride);
  }
  return text;
}

}  // namespace

Stage describe_nodes(const Program& program, std::span<const int> nodes, int64_t batch) {
  Stage stage{};
  int64_t most = -1;
  for (const int i : nodes) {
    const Node& node = program.nodes[static_cast<size_t>(i)];
    const std::string arrow = stage.name.empty() ? "" : " ⇒ ";
    stage.name += arrow + node.name;
    stage.shape += arrow + describe_shapes(program, node);
    stage.ops.insert(stage.ops.end(), node.absorbed.begin(), node.absorbed.end());
    stage.ops.push_back(node.name);
    const int64_t macs = multiply_accumulates(program, node) * batch;
    stage.macs += macs;
    if (macs > most) stage.kind = row(node.kind).kind;
    most = std::max(most, macs);
  }
  return stage;
}

Stage describe(const Program& program, const Layers& layers, const Step& step, const LayerOptions& options) {
  std::vector<int> nodes(step.size());
  std::iota(nodes.begin(), nodes.end(), static_cast<int>(step.first));
  Stage stage = describe_nodes(program, nodes, options.batch);
  stage.cut = step.cut;
  const auto size = [&](int tensor) { return batched(program.shape(tensor), options.batch).size(); };
  for (size_t i = step.first; i < step.end; i++) {
    const Node& node = program.nodes[i];
    const std::string kernel = layers[i]->kernel();
    stage.kernel += (i > step.first ? " ⇒ " : "") + kernel;
    const auto refused = refused_kernels(program, node, options, kernel);
    stage.refused.insert(stage.refused.end(), refused.begin(), refused.end());
    for (const int x : node.inputs)
      if (x >= 0 && (i == step.first || x != program.nodes[i - 1].output)) stage.bytes += size(x) * (x == program.input ? 1 : 4);
    for (const int p : node.parameters)
      if (p >= 0) stage.bytes += program.parameters[static_cast<size_t>(p)].size * 4;
  }
  stage.bytes += size(program.nodes[step.end - 1].output) * 4;
  stage.key =
      stage.kernel + " | " + stage.shape + " | " + std::to_string(options.threads) + (options.threads == 1 ? " thread" : " threads");
  return stage;
}

void sort_ops(std::vector<Stage>& stages, const Graph& before) {
  std::map<std::string, size_t> place;
  for (size_t i = 0; i < before.ops.size(); i++) place[before.ops[i].name] = i;
  for (Stage& stage : stages) {
    std::erase_if(stage.ops, [&](const std::string& name) { return !place.contains(name); });
    std::sort(stage.ops.begin(), stage.ops.end(), [&](const std::string& a, const std::string& b) { return place[a] < place[b]; });
  }
}

}  // namespace tvn
