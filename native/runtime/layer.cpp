#include "runtime/layer.h"

#include "core/error.h"

namespace tvn {

std::unique_ptr<Layer> make_layer(const Program& program, const Node& node, const LayerOptions& options) {
  switch (node.kind) {
    case OpKind::conv:
    case OpKind::depthwise: return make_convolution_layer(program, node, options);
    case OpKind::pool:
    case OpKind::mean:
    case OpKind::attention: return make_spatial_layer(program, node, options);
    case OpKind::normalize:
    case OpKind::batch_norm:
    case OpKind::activation:
    case OpKind::add:
    case OpKind::gate:
    case OpKind::dropout: return make_pointwise_layer(program, node, options);
    case OpKind::dense:
    case OpKind::temporal_softmax: return make_head_layer(program, node, options);
  }
  throw Error("ERR_GRAPH_INVALID", node.name + ": unknown op");
}

}  // namespace tvn
