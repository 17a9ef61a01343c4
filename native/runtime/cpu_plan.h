// A Graph compiled for inference on the CPU: fused, every op bound to a kernel, weights packed, memory laid out.
#pragma once

#include <memory>

#include "core/buffer.h"
#include "graph/graph.h"
#include "graph/passes.h"
#include "runtime/layout.h"
#include "runtime/plan.h"

namespace tvn {

struct CpuPlanOptions {
  int64_t batch;
  int threads;
  Isa isa;
  Precision precision = Precision::f32;
  PassSet passes = all_passes;
  BandLimits bands = band_limits();
  Tuning tuning = {};
};

class CpuPlan final : public Plan {
 public:
  /** Throws Error: ERR_GRAPH_INVALID, ERR_MEMORY, ERR_PRECISION. The values are read here and not needed afterwards. */
  CpuPlan(Graph graph, ParameterValues values, const CpuPlanOptions& options);

  int64_t clip_bytes() const override { return options_.batch * program_.shape(program_.input).size(); }
  int64_t logits_size() const override { return options_.batch * program_.shape(program_.output).size(); }

  void run(const uint8_t* clips, float* logits) override;
  void profile(const uint8_t* clips, double* stage_ms) override;
  RunTimes measure(const MeasureOptions& options) override;

  const std::vector<Stage>& stages() const override { return stages_; }
  const Choices& choices() const override { return choices_; }
  PlanMemory memory() const override;
  const Layout& layout() const { return *layout_; }

 private:
  std::vector<Operands> bind_parameters(const ParameterValues& values);
  void pack(std::vector<Operands>& parameters);
  /** Evicts weights and activations from every cache. */
  void evict() const;

  CpuPlanOptions options_;
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
