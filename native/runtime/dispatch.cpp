#include "runtime/dispatch.h"

#include "kernels/activation/activation.h"
#include "kernels/add/add.h"
#include "kernels/attention/attention.h"
#include "kernels/batch_norm/batch_norm.h"
#include "kernels/conv/conv.h"
#include "kernels/dense/dense.h"
#include "kernels/depthwise/depthwise.h"
#include "kernels/dropout/dropout.h"
#include "kernels/gate/gate.h"
#include "kernels/mean/mean.h"
#include "kernels/normalize/normalize.h"
#include "kernels/pool/pool.h"
#include "kernels/temporal_softmax/temporal_softmax.h"

namespace tvn {
namespace {

class Refusals {
 public:
  Refusals(const LayerOptions& options, const std::string& chosen) : options_(options), chosen_(chosen) {}

  template <class K>
  std::vector<std::string> of(std::span<const K> list) const {
    return until_chosen(list, [](const K&) -> std::string { return "another was chosen"; });
  }

  /** Of kernels that say where they pay. */
  template <class K, class S>
  std::vector<std::string> of(std::span<const K> list, const S& shape) const {
    return until_chosen(list, [&](const K& kernel) -> std::string {
      if constexpr (requires { kernel.supports; })
        if (kernel.supports && !kernel.supports(shape)) return "not for this shape";
      if (kernel.precision > options_.precision) return "the precision is f32";
      return kernel.pays && direct_only() ? "TVN_CONVOLUTION is direct" : "does not pay";
    });
  }

 private:
  template <class K, class Reason>
  std::vector<std::string> until_chosen(std::span<const K> list, const Reason& reason) const {
    std::vector<std::string> lines;
    for (const K& kernel : list) {
      if (kernel.name == chosen_) break;
      const std::string isa = isa_name(kernel.isa);
      lines.push_back(kernel.name + (": " + (kernel.isa > options_.isa ? "needs " + isa : reason(kernel))));
    }
    return lines;
  }

  const LayerOptions& options_;
  const std::string& chosen_;
};

}  // namespace

std::vector<std::string> refused_kernels(const Program& program, const Node& node, const LayerOptions& options, const std::string& chosen) {
  const Refusals refusals(options, chosen);
  const auto shape_of = [&](size_t input, const Window& window) {
    const auto whole = [&](int tensor) { return batched(program.shape(tensor), options.batch); };
    return ConvShape{whole(node.inputs[input]), whole(node.output), window};
  };
  switch (node.kind) {
    case OpKind::conv:
      if (node.has(3)) return refusals.of(conv_sum_kernels(), ConvSumShape{shape_of(0, node.window), shape_of(3, node.shortcut_window)});
      return refusals.of(conv_forward_kernels(), shape_of(0, node.window));
    case OpKind::depthwise: return refusals.of(depthwise_forward_kernels());
    case OpKind::pool: return refusals.of(pool_forward_kernels());
    case OpKind::mean: return refusals.of(mean_forward_kernels());
    case OpKind::attention: return refusals.of(attention_forward_kernels());
    case OpKind::normalize: return refusals.of(normalize_kernels());
    case OpKind::batch_norm: return refusals.of(batch_norm_apply_kernels());
    case OpKind::activation: return refusals.of(activation_forward_kernels());
    case OpKind::add: return refusals.of(add_forward_kernels());
    case OpKind::gate: return refusals.of(gate_forward_kernels());
    case OpKind::dropout: return refusals.of(dropout_kernels());
    case OpKind::dense: return refusals.of(dense_forward_kernels());
    case OpKind::temporal_softmax: return refusals.of(temporal_softmax_forward_kernels());
  }
  return {};
}

}  // namespace tvn
