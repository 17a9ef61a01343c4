// A Graph compiled for inference on a GPU: the CPU's passes, then the CUDA backend.
#pragma once

#include "graph/passes.h"
#include "runtime/cuda_backend.h"
#include "runtime/plan.h"

namespace tvn {

struct CudaPlanOptions {
  int device;
  int64_t batch;
  PassSet passes = all_passes;
  Tuning tuning = {};
};

class CudaPlan final : public Plan {
 public:
  /** Throws Error: ERR_GRAPH_INVALID, ERR_MEMORY, ERR_DEVICE. The values are read here and not needed afterwards. */
  CudaPlan(const TvnCudaBackend& backend, Graph graph, ParameterValues values, const CudaPlanOptions& options);

  int64_t clip_bytes() const override { return clip_bytes_; }
  int64_t logits_size() const override { return logits_size_; }

  void run(const uint8_t* clips, float* logits) override;
  void profile(const uint8_t* clips, double* stage_ms) override;
  /** Host times have the way of clips and logits in them. Throws Error("ERR_ARGUMENT") for cold runs. */
  RunTimes measure(const MeasureOptions& options) override;

  const std::vector<Stage>& stages() const override { return stages_; }
  const Choices& choices() const override { return choices_; }
  PlanMemory memory() const override;

 private:
  const TvnCudaBackend& backend_;
  CudaHandle<TvnCudaPlan> plan_;
  int64_t clip_bytes_, logits_size_;
  std::vector<Stage> stages_;
  Choices choices_;
};

}  // namespace tvn
