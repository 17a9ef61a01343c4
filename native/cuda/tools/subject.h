// A network with random parameters and clips, the same every time.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "graph/passes.h"

namespace tvn::cuda::tools {

struct Subject {
  std::string name;
  uint64_t seed;
  tvn::Graph graph;
  Parameters parameters;
  int64_t macs, trainable;  // of a clip; parameters

  ParameterValues values() const;
  std::vector<uint8_t> clips(int64_t batch) const;
  std::vector<int32_t> labels(int64_t batch) const;
};

enum class Weights {
  random,  // drawn op by op, so that all tensors are of the order of one: see draw_parameters
  zero,    // where nothing is computed
};

/**
 * A file of native/cuda/networks by its name ("tvn-1") or a path; `size`: pixels of a side, 0 for the network's own. Throws Error:
 * ERR_FILE, ERR_GRAPH_INVALID; also where the file says other multiply-accumulates or parameters than there are.
 */
Subject read_subject(const std::string& network, int64_t size, Weights weights);

/** Threads for what the CPU computes. */
int cpu_threads();

}  // namespace tvn::cuda::tools
