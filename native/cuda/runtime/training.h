// A program as layers that run forward and backward on the GPU. Tensors and gradients are halves, those of logits f32 where a loss reads
// them; weights have f32 masters.
#pragma once

#include <functional>
#include <vector>

#include "cuda/kernels/conv.h"
#include "cuda/runtime/program.h"

namespace tvn::cuda {

/** Where the data of one layer lies. */
struct TrainBinding {
  const std::vector<uint8_t*>& tensors;    // by tensor
  const std::vector<uint8_t*>& gradients;  // by tensor; null where none is wanted
  const std::vector<char>& accumulate;     // one an input of the layer: add to its gradient
  const std::vector<int64_t>& parameters;  // by parameter: its place in the arenas
  float* values;                           // arenas
  float* parameter_gradients;
  half* rounded;
  uint8_t* kept;                   // TrainLayer::kept bytes of its own
  uint8_t* scratch;                // TrainLayer::scratch bytes
  int* counters;                   // TrainLayer::counters, zero before and after a step
  const unsigned long long* seed;  // of this layer in this step

  half* halves(int tensor) const { return reinterpret_cast<half*>(tensors[static_cast<size_t>(tensor)]); }
  float* floats(int tensor) const { return reinterpret_cast<float*>(tensors[static_cast<size_t>(tensor)]); }
  half* gradient(int tensor) const { return reinterpret_cast<half*>(gradients[static_cast<size_t>(tensor)]); }
  float* gradient32(int tensor) const { return reinterpret_cast<float*>(gradients[static_cast<size_t>(tensor)]); }
  ConvWorkspace workspace() const { return {counters, reinterpret_cast<float*>(scratch)}; }
  bool adds(size_t input) const { return accumulate[input] != 0; }
  float* value(int parameter) const { return values + parameters[static_cast<size_t>(parameter)]; }
  half* weight(int parameter) const { return rounded + parameters[static_cast<size_t>(parameter)]; }
  float* parameter_gradient(int parameter) const { return parameter_gradients + parameters[static_cast<size_t>(parameter)]; }
};

struct TrainLayer {
  std::vector<int> inputs;
  int output;
  bool keeps_x = true, keeps_y = false;  // what backward reads besides dy
  bool learns = false;                   // has parameters with gradients
  size_t scratch = 0, kept = 0;          // bytes
  int counters = 0;
  bool random = false;          // draws from a seed of its own
  unsigned long long salt = 0;  // of that seed
  std::function<void(const TrainBinding&, cudaStream_t)> forward;
  std::function<void(const TrainBinding&, cudaStream_t)> backward;
};

struct TrainingOptions {
  int64_t batch;
  float dropout;
};

/** By node. Throws Error("ERR_GRAPH_INVALID") where the GPU has no kernel for something. */
std::vector<TrainLayer> lower_training(const Program& program, const TrainingOptions& options);

/** Whether the tensor is f32: what a dense layer or a temporal softmax writes. */
bool is_f32(const Program& program, int tensor);

}  // namespace tvn::cuda
