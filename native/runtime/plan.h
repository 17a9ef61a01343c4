// A Graph compiled for inference: fused, every op bound to a kernel, weights packed, memory laid out.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/buffer.h"
#include "graph/graph.h"
#include "graph/passes.h"
#include "runtime/band.h"
#include "runtime/layer.h"

namespace tvn {

struct PlanOptions {
  int64_t batch;
  int threads;
  Isa isa;
  Precision precision = Precision::f32;
  PassSet passes = all_passes;
  BandLimits bands = band_limits();
};

/** One step of a plan. */
struct Stage {
  std::string name;
  std::vector<std::string> ops;  // of the graph, fused into this step
  std::string kind;              // of the op that remains; in a band of the one with the most multiply-accumulates
  std::string shape;             // inputs, window and output, for people
  std::string kernel;
  std::vector<std::string> refused;  // better kernels that were not chosen, with the reason
  int64_t macs;                      // of a whole run
  int64_t bytes;                     // of inputs, weights and outputs of a whole run
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
  size_t arena_bytes() const { return arena_.size(); }
  /** The largest two activations that a step needs at the same time, and the largest scratch: both lie in the arena. */
  size_t activation_bytes() const { return activation_bytes_; }
  size_t scratch_bytes() const { return scratch_bytes_; }
  /** Evicts weights and activations from every cache. */
  void evict() const;
  ThreadPool& pool() { return pool_; }

 private:
  /** One or more layers. */
  struct Step {
    size_t first, end;
    std::optional<Band> band;  // null for one layer
  };

  void make_steps();
  void run_step(const Step& step);
  void bind_parameters(const ParameterValues& values);
  void bind_tensors();
  void describe(const Graph& before);

  PlanOptions options_;
  Program program_;
  ThreadPool pool_;
  std::vector<std::unique_ptr<Layer>> layers_;
  std::vector<Step> steps_;
  std::vector<Operands> operands_;
  std::vector<Buffer<float>> parameters_;
  std::vector<size_t> clip_readers_;  // layers that read the clip
  Buffer<uint8_t> arena_;
  const float* logits_ = nullptr;
  size_t weight_bytes_ = 0, activation_bytes_ = 0, scratch_bytes_ = 0;
  std::vector<Stage> stages_;
};

}  // namespace tvn
