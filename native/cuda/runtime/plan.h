// A network compiled for inference on one GPU: one captured graph from the clips in pinned memory to the logits in pinned memory.
#pragma once

#include <map>
#include <string>

#include "cuda/runtime/inference.h"

namespace tvn::cuda {

struct PlanOptions {
  int device;
  int64_t batch;
  std::map<std::string, std::string> known_choices;
  double tuning_seconds;
};

class Plan {
 public:
  /** Throws Error: ERR_GRAPH_INVALID, ERR_MEMORY, ERR_DEVICE, ERR_DEVICE_LOST. */
  Plan(const Network& network, const PlanOptions& options);

  /** device_ms: of the kernels alone, by the device's clock; or null. */
  int device() const { return device_.index(); }
  void run(const uint8_t* clips, float* logits, double* device_ms);
  void profile(const uint8_t* clips, double* stage_ms);

  const std::vector<Step>& steps() const { return inference_.steps; }
  const std::map<std::string, std::string>& choices() const { return choices_; }
  size_t weight_bytes() const { return weights_.bytes(); }
  size_t arena_bytes() const { return arena_.bytes(); }
  size_t activation_bytes() const { return activation_bytes_; }
  size_t scratch_bytes() const { return scratch_.bytes(); }

 private:
  void lay_out(const Program& program);
  void try_library_ways();
  void tune(const std::map<std::string, std::string>& known, double seconds);
  Binding binding() const;
  void launch_steps();
  void copy_in();
  void copy_out();
  void take_logits(float* to) const;

  PlanOptions options_;
  CurrentDevice device_;
  Stream stream_;
  Inference inference_;
  DeviceBuffer weights_, arena_, scratch_, counters_;
  size_t activation_bytes_ = 0;
  int input_ = 0, output_ = 0;
  size_t clip_bytes_ = 0;
  int64_t classes_ = 0;
  PinnedBuffer clips_, logits_;
  Event begin_, end_;
  Graph whole_, kernels_;
  std::map<std::string, std::string> choices_;
};

}  // namespace tvn::cuda
