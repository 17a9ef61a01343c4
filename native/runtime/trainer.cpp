#include "runtime/trainer.h"

namespace tvn {
namespace {

Graph prepare(Graph graph, float dropout) {
  check(graph);  // the passes rely on a legal graph
  fuse_activations(graph, Purpose::training);
  for (Op& op : graph.ops)
    if (op.kind == OpKind::dropout) op.attributes.rate = dropout;
  return graph;
}

}  // namespace

Trainer::Trainer(Graph graph, const TrainerOptions& options)
    : program_(check(prepare(std::move(graph), options.dropout))), task_(options.task) {}

}  // namespace tvn
