// What a step of a plan is, for people and for the choices that are remembered of it (runtime/tuning.h).
#pragma once

#include <cstdint>
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

Stage describe(const Program& program, const Layers& layers, const Step& step, const LayerOptions& options);

}  // namespace tvn
