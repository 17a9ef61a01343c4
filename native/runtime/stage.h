// What a step of a plan is, for people and for the choices that are remembered of it (runtime/tuning.h).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "runtime/layout.h"

namespace tvn {

/** One step of a plan. */
struct Stage {
  std::string name;
  std::vector<std::string> ops;  // of the graph, fused into this step
  std::string kind;              // of the op that remains; in a band of the one with the most multiply-accumulates
  std::string shape;             // inputs, window and output, for people
  std::string kernel;
  std::string key;                   // kernel, shape and threads: what a choice of how to cut it depends on
  std::string cut;                   // how its work is cut, where a measurement chose another way than the usual one; else empty
  std::vector<std::string> refused;  // better kernels that were not chosen, with the reason
  int64_t macs;                      // of a whole run
  int64_t bytes;                     // of inputs, weights and outputs of a whole run
};

/** What follows from the nodes alone: name, ops, kind, shape and macs; of the kind, the node with the most of these has its say. */
Stage describe_nodes(const Program& program, std::span<const int> nodes, int64_t batch);

/** A step of the CPU's. */
Stage describe(const Program& program, const Layers& layers, const Step& step, const LayerOptions& options);

/** Of each stage, the ops that the graph before the passes had, in its order. */
void sort_ops(std::vector<Stage>& stages, const Graph& before);

}  // namespace tvn
