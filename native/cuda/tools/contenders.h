// A network of the CUDA backend as something to be timed, and held against the CPU engine.
#pragma once

#include <memory>
#include <vector>

#include "cuda/tools/json_row.h"
#include "cuda/tools/subject.h"
#include "runtime/cuda_plan.h"
#include "runtime/cuda_trainer.h"

namespace tvn::cuda::tools {

/** Something that runs over and over. */
class Contender {
 public:
  virtual ~Contender() = default;
  /** From clips in the caller's memory to logits there, by the host's clock. */
  virtual void run() = 0;
  /** The same; milliseconds of the kernels alone by the device's clock, negative where nobody says. */
  virtual double run_on_device() = 0;

  /** Until times no longer fall: at least 10 runs and `seconds`, or `most` runs. */
  void warm_up(double seconds, int most);
  struct Block {
    std::vector<double> host, device;  // milliseconds of each run
  };
  Block block(int runs);
};

class Inference final : public Contender {
 public:
  Inference(const TvnCudaBackend& backend, const Subject& subject, int64_t batch, const Tuning& tuning);
  void run() override { plan_.run(clips_.data(), logits_.data()); }
  double run_on_device() override;

  CudaPlan& plan() { return plan_; }
  /** Of the first clip in the last run. */
  std::span<const float> first_logits() const { return std::span(logits_).first(logits_.size() / static_cast<size_t>(batch_)); }
  /** Milliseconds of each stage, medians of some runs. */
  std::vector<double> profile(int runs);
  /** The largest difference of a logit from the CPU's in f32, relative to the largest of them: of the first, the middle and the last clip.
   */
  double error(const Subject& subject);

 private:
  CudaPlan plan_;
  int64_t batch_;
  std::vector<uint8_t> clips_;
  std::vector<float> logits_;
};

class Training final : public Contender {
 public:
  Training(const TvnCudaBackend& backend, const Subject& subject, int64_t batch);
  void run() override;
  double run_on_device() override { return -1; }

 private:
  CudaTrainer trainer_;
  int64_t batch_;
  std::vector<uint8_t> clips_;
  std::vector<int32_t> labels_;
  std::vector<float> logits_;
};

/** Between two steps, relative: of the loss, of the logits (to the largest), of all gradients together (2-norm), of the last layer's alone.
 */
struct StepErrors {
  double loss, logits, gradients, head;
};
/**
 * One step beside one of the CPU in f32. A deep network of random weights magnifies roundings, in training more than at inference, and a
 * gradient comes or goes as a whole where a rounding moves a value across a relu's corner: `inherent` is what comes of rounding nothing but
 * the weights to halves, on the CPU.
 */
struct TrainingErrors {
  StepErrors found, inherent;
  bool skipped;
};
TrainingErrors training_errors(const TvnCudaBackend& backend, const Subject& subject, int64_t batch);

}  // namespace tvn::cuda::tools
