// An f64 interpreter of Graphs as the lowering writes them, unfused: the living definition, in C++, of what a network computes at
// inference.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "core/thread_pool.h"
#include "graph/graph.h"

namespace tvn::test {

using Values = std::vector<double>;

struct Observer {
  /** Before an op runs, with its first input: what the op's parameters hold afterwards is what it computes with. */
  std::function<void(const Node&, const Values& x)> before;
  /** After it has run. */
  std::function<void(const Node&, const Values& y)> after;
};

/**
 * Runs a checked graph on one clip: plain loops over the formulas of ops.def, that share nothing with the kernels. Windows are padded by
 * the rule there, worked out anew. Only what the lowering writes is known: throws Error("ERR_GRAPH_INVALID") for an op that a pass has
 * fused.
 */
void interpret(const Program& program, const Parameters& parameters, std::span<const uint8_t> clip, ThreadPool& pool,
               const Observer& observer);

}  // namespace tvn::test
