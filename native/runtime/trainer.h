// A Graph compiled for training: a whole step is one call.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/buffer.h"
#include "graph/graph.h"
#include "graph/memory_plan.h"
#include "graph/passes.h"
#include "kernels/add/add.h"
#include "kernels/loss/loss.h"
#include "kernels/sgd/sgd.h"
#include "runtime/layer.h"

namespace tvn {

enum class Task { single_label, multi_label };

struct TrainerOptions {
  int threads;
  Isa isa;
  Task task;
  float label_smoothing;
  float dropout;  // replaces the rate of the graph's dropout ops
  float momentum;
  bool nesterov;
  float weight_decay;  // of parameters whose name ends in ".weight"
  uint64_t seed;       // of dropout
};

class Trainer {
 public:
  /** Throws Error: ERR_GRAPH_INVALID, ERR_MEMORY. Starts from a copy of the values. */
  Trainer(Graph graph, const ParameterValues& values, const TrainerOptions& options);

  int64_t clip_bytes() const { return program_.shape(program_.input).size(); }  // of one clip
  int64_t classes() const { return program_.shape(program_.output).c; }
  int64_t labels_per_clip() const { return options_.task == Task::single_label ? 1 : classes(); }

  /**
   * Forward, loss, backward, update. clips: u8 [batch, T, H, W, 3]; labels: [batch] or [batch, classes], in range; logits:
   * [batch, classes], written. Returns the loss before the update. Memory is laid out anew when the batch changes.
   */
  double step(const uint8_t* clips, int64_t batch, const int32_t* labels, float rate, float* logits);

  const std::vector<ParameterInfo>& parameters() const { return program_.parameters; }
  std::span<const float> value(size_t parameter) const { return {values_[parameter].data(), values_[parameter].size()}; }
  /** Of the last step's loss, without weight decay; empty for running statistics. */
  std::span<const float> gradient(size_t parameter) const { return {gradients_[parameter].data(), gradients_[parameter].size()}; }

 private:
  void compile(int64_t batch);
  void plan_tensors(std::vector<Lifetime>& lifetimes);
  void plan_gradients(std::vector<Lifetime>& lifetimes);
  void backward(const Run& run);
  void update(float rate);

  int time_of_loss() const { return static_cast<int>(layers_.size()); }
  int time_of_backward(size_t layer) const { return 2 * time_of_loss() - static_cast<int>(layer); }
  size_t bytes_of(int tensor) const { return static_cast<size_t>(batched(program_.shape(tensor), batch_).size()) * sizeof(float); }

  TrainerOptions options_;
  Program program_;
  ThreadPool pool_;
  const Kernel<Loss>& loss_;
  const Kernel<Sgd>& sgd_;
  const Kernel<AddForward>& add_;
  std::vector<Buffer<float>> values_, gradients_, velocities_;  // one a parameter; the last two empty for running statistics
  std::vector<char> differentiable_;                            // one a tensor: some parameter lies before it
  uint64_t steps_ = 0;

  /** A gradient that a layer cannot add by itself: it writes to memory of its own, which is then added. */
  struct Detour {
    size_t input;
    float* dx;  // null: thrown away
    int lifetime;
  };

  // for the current batch
  int64_t batch_ = 0;
  std::vector<std::unique_ptr<Layer>> layers_;
  std::vector<Operands> operands_;
  std::vector<std::vector<Detour>> detours_;
  std::vector<int> storage_, gradient_storage_;  // one a tensor: index of its lifetime; −1: none
  Buffer<uint8_t> arena_;
};

}  // namespace tvn
