// A network compiled for training on one GPU: a whole step is one captured graph.
#pragma once

#include <string>

#include "cuda/kernels/update.h"
#include "cuda/runtime/device.h"
#include "cuda/runtime/training.h"
#include "graph/memory_plan.h"

namespace tvn::cuda {

struct TrainerOptions {
  int device;
  bool multi_label;
  float label_smoothing, dropout, momentum, weight_decay;
  bool nesterov;
  uint64_t seed;
};

struct StepResult {
  double loss;
  float loss_scale;
  bool skipped;
  int64_t skipped_steps;
};

class Trainer {
 public:
  /** Throws Error: ERR_GRAPH_INVALID, ERR_MEMORY, ERR_DEVICE, ERR_DEVICE_LOST. Starts from a copy of the values. */
  Trainer(const Network& network, const TrainerOptions& options);

  int device() const { return device_.index(); }
  /** Lays memory out for a batch and records the step, as `step` does when the batch changes. */
  void prepare(int64_t batch);
  /** Forward, loss, backward, update; see TvnCudaBackend::trainer_step. */
  StepResult step(const uint8_t* clips, int64_t batch, const int32_t* labels, float rate, float* logits);
  /** The parameter's values or, of trainable ones, the gradient of the last step's loss, dense. */
  void read(size_t parameter, bool gradient, float* to);

 private:
  void store_parameters(const Network& network);
  void plan_tensors(std::vector<Lifetime>& lifetimes, std::vector<int>& storage) const;
  void plan_gradients(std::vector<Lifetime>& lifetimes, std::vector<int>& storage);
  void load_kernels();
  void launch_step();
  TrainBinding bind(size_t layer) const;

  int time_of_loss() const { return static_cast<int>(layers_.size()); }
  int time_of_backward(size_t layer) const { return 2 * time_of_loss() - static_cast<int>(layer); }
  size_t tensor_bytes(int tensor) const;
  size_t labels_a_clip() const;

  TrainerOptions options_;
  CurrentDevice device_;
  Program program_;
  Stream stream_;
  std::vector<int64_t> offsets_;  // of parameters, elements in the arenas
  int64_t size_ = 0;              // of the arenas
  int segments_ = 0;
  DeviceBuffer values_, velocities_, gradients_, rounded_, segment_, counters_, overflow_, scaler_;
  ScalerState state_{};
  std::vector<char> differentiable_;  // one a tensor: some parameter lies before it
  uint64_t steps_ = 0;
  bool kernels_are_loaded_ = false;
  float last_scale_ = 1;

  // for the current batch
  int64_t batch_ = 0;
  std::vector<TrainLayer> layers_;
  std::vector<std::vector<char>> accumulate_;         // by layer and input
  std::vector<uint8_t*> tensors_, tensor_gradients_;  // by tensor
  std::vector<size_t> kept_;                          // by layer: where in kept_memory_
  std::vector<size_t> seeds_;                         // layers that draw random numbers
  DeviceBuffer arena_, scratch_, kept_memory_, small_, results_;
  PinnedBuffer clips_host_, small_host_, results_host_, scaler_host_;
  Graph graph_;
};

}  // namespace tvn::cuda
