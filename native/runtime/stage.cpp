#include "runtime/stage.h"

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

Stage describe(const Program& program, const Layers& layers, const Step& step, const LayerOptions& options) {
  Stage stage{};
  stage.cut = step.cut;
  int64_t most = -1;
  const auto size = [&](int tensor) { return batched(program.shape(tensor), options.batch).size(); };
  for (size_t i = step.first; i < step.end; i++) {
    const Node& node = program.nodes[i];
    const std::string arrow = i > step.first ? " ⇒ " : "", kernel = layers[i]->kernel();
    stage.name += arrow + node.name;
    stage.shape += arrow + describe_shapes(program, node);
    stage.kernel += arrow + kernel;
    stage.ops.insert(stage.ops.end(), node.absorbed.begin(), node.absorbed.end());
    stage.ops.push_back(node.name);
    const auto refused = refused_kernels(program, node, options, kernel);
    stage.refused.insert(stage.refused.end(), refused.begin(), refused.end());
    const int64_t macs = multiply_accumulates(program, node) * options.batch;
    stage.macs += macs;
    if (macs > most) stage.kind = row(node.kind).kind;
    most = std::max(most, macs);
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

}  // namespace tvn
