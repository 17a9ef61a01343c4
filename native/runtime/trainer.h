// A Graph compiled for training, on a CPU (cpu_trainer.h) or a GPU (cuda_trainer.h): a whole step is one call.
#pragma once

#include <cstdint>
#include <vector>

#include "core/isa.h"
#include "graph/graph.h"
#include "graph/passes.h"

namespace tvn {

enum class Task { single_label, multi_label };

struct TrainerOptions {
  int threads;  // of a CPU
  Isa isa;
  Task task;
  float label_smoothing;
  float dropout;  // replaces the rate of the graph's dropout ops
  float momentum;
  bool nesterov;
  float weight_decay;  // of parameters whose name ends in ".weight"
  uint64_t seed;       // of dropout
};

struct StepResult {
  double loss;           // before the update
  bool skipped = false;  // a gradient was not finite in half precision, and nothing was changed but the scale
  float loss_scale = 1;  // of this step; 1 where gradients are f32
};

/** One call at a time. On a GPU, calls throw Error: ERR_MEMORY, ERR_DEVICE_LOST. */
class Trainer {
 public:
  virtual ~Trainer() = default;

  int64_t clip_bytes() const { return program_.shape(program_.input).size(); }  // of one clip
  int64_t classes() const { return program_.shape(program_.output).c; }
  int64_t labels_per_clip() const { return task_ == Task::single_label ? 1 : classes(); }
  const std::vector<ParameterInfo>& parameters() const { return program_.parameters; }

  /**
   * Forward, loss, backward, update. clips: u8 [batch, T, H, W, 3]; labels: [batch] or [batch, classes], in range; logits:
   * [batch, classes], written. The batch may differ from step to step.
   */
  virtual StepResult step(const uint8_t* clips, int64_t batch, const int32_t* labels, float rate, float* logits) = 0;
  /** The values of a parameter now or, of one that is trainable, the gradient of the last step's loss without weight decay. */
  virtual void read(size_t parameter, bool gradient, float* to) const = 0;

 protected:
  /** Throws Error("ERR_GRAPH_INVALID"). */
  Trainer(Graph graph, const TrainerOptions& options);

  Program program_;  // activations are fused

 private:
  Task task_;
};

}  // namespace tvn
