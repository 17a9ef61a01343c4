// A Graph compiled for inference: fused, every op bound to a kernel, weights packed, memory laid out.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/buffer.h"
#include "graph/graph.h"
#include "graph/passes.h"
#include "runtime/layout.h"
#include "runtime/stage.h"
#include "runtime/tuning.h"

namespace tvn {

struct PlanOptions {
  int64_t batch;
  int threads;
  Isa isa;
  Precision precision = Precision::f32;
  PassSet passes = all_passes;
  BandLimits bands = band_limits();
  Tuning tuning = {};
};

class Plan {
 public:
  /** Throws Error: ERR_GRAPH_INVALID, ERR_MEMORY, ERR_PRECISION. The values are read here and not needed afterwards. */
  Plan(Graph graph, ParameterValues values, const PlanOptions& options);

  int64_t clip_bytes() const { return options_.batch * program_.shape(program_.input).size(); }
  int64_t logits_size() const { return options_.batch * program_.shape(program_.output).size(); }

  /** u8 [batch, T, H, W, 3] → logits [batch, classes]. */
  void run(const uint8_t* clips, float* logits);
  /** The same; writes the milliseconds of each stage. */
  void profile(const uint8_t* clips, double* stage_ms);

  const std::vector<Stage>& stages() const { return stages_; }
  size_t weight_bytes() const { return weight_bytes_; }
  const Layout& layout() const { return *layout_; }
  /** What was known or found of how to cut the steps. */
  const Choices& choices() const { return choices_; }
  /** Evicts weights and activations from every cache. */
  void evict() const;
  ThreadPool& pool() { return pool_; }

 private:
  std::vector<Operands> bind_parameters(const ParameterValues& values);
  void pack(std::vector<Operands>& parameters);
  void describe_steps(const Graph& before, const LayerOptions& how);

  PlanOptions options_;
  Program program_;
  ThreadPool pool_;
  Layers layers_;
  std::vector<Buffer<float>> parameters_;  // those that are not packed
  Choices choices_;
  std::unique_ptr<Layout> layout_;
  size_t weight_bytes_ = 0;
  std::vector<Stage> stages_;
};

}  // namespace tvn
