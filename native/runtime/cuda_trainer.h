// Training on a GPU, by the CUDA backend: gradients in half precision with a loss scale, weights and their update in f32.
#pragma once

#include "runtime/cuda_backend.h"
#include "runtime/trainer.h"

namespace tvn {

class CudaTrainer final : public Trainer {
 public:
  /** Throws Error: ERR_GRAPH_INVALID, ERR_MEMORY, ERR_DEVICE. Starts from a copy of the values. */
  CudaTrainer(const TvnCudaBackend& backend, int device, Graph graph, const ParameterValues& values, const TrainerOptions& options);

  StepResult step(const uint8_t* clips, int64_t batch, const int32_t* labels, float rate, float* logits) override;
  void read(size_t parameter, bool gradient, float* to) const override;

 private:
  const TvnCudaBackend& backend_;
  CudaHandle<TvnCudaTrainer> trainer_;
};

}  // namespace tvn
