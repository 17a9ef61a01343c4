#include "runtime/cuda_trainer.h"

#include "runtime/cuda_program.h"

namespace tvn {

CudaTrainer::CudaTrainer(const TvnCudaBackend& backend, int device, Graph graph, const ParameterValues& values,
                         const TrainerOptions& options)
    : Trainer(std::move(graph), options), backend_(backend), trainer_(nullptr, backend.trainer_destroy) {
  const TvnCudaTrainerOptions how{device,
                                  options.task == Task::multi_label,
                                  options.label_smoothing,
                                  options.dropout,
                                  options.momentum,
                                  options.weight_decay,
                                  options.nesterov,
                                  options.seed};
  TvnCudaTrainer* trainer = nullptr;
  call_cuda(backend.trainer_create, &CudaProgram(program_, values).table(), &how, &trainer);
  trainer_ = {trainer, backend.trainer_destroy};
}

StepResult CudaTrainer::step(const uint8_t* clips, int64_t batch, const int32_t* labels, float rate, float* logits) {
  TvnCudaStepResult result{};
  call_cuda(backend_.trainer_step, trainer_.get(), clips, batch, labels, rate, logits, &result);
  return {result.loss, result.skipped != 0, result.loss_scale};
}

void CudaTrainer::read(size_t parameter, bool gradient, float* to) const {
  call_cuda(backend_.trainer_read, trainer_.get(), static_cast<int32_t>(parameter), static_cast<int32_t>(gradient), to);
}

}  // namespace tvn
