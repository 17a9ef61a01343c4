// The beginning of a network: bytes become numbers and go through a pointwise convolution at once, y = f((x / 127.5 − 1)·w + bias).
#pragma once

#include "cuda/kernels/shape.h"

namespace tvn::cuda {

struct StemArgs {
  int rows, outputs;  // positions of the batch, channels as stored
  const uint8_t* x;   // [rows, 3]
  const half* w;      // [8][outputs], of which three rows are there
  const float* bias;  // [outputs], or null
  Function function;
  half* y;  // [rows, outputs]
};

void stem_forward(const StemArgs&, cudaStream_t);

}  // namespace tvn::cuda
