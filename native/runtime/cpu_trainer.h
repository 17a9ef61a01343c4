// Training on the CPU.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/buffer.h"
#include "graph/memory_plan.h"
#include "kernels/add/add.h"
#include "kernels/loss/loss.h"
#include "kernels/sgd/sgd.h"
#include "runtime/layer.h"
#include "runtime/trainer.h"

namespace tvn {

class CpuTrainer final : public Trainer {
 public:
  /** Throws Error: ERR_GRAPH_INVALID, ERR_MEMORY. Starts from a copy of the values. */
  CpuTrainer(Graph graph, const ParameterValues& values, const TrainerOptions& options);

  /** Memory is laid out anew when the batch changes. */
  StepResult step(const uint8_t* clips, int64_t batch, const int32_t* labels, float rate, float* logits) override;
  void read(size_t parameter, bool gradient, float* to) const override;

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
