// What follows a convolution that a library computed: the epilogue that our own have in them.
#pragma once

#include "cuda/kernels/shape.h"

namespace tvn::cuda {

struct EpilogueArgs {
  int rows, stored, channels;
  const float* bias = nullptr;     // [stored], or null
  const half* residual = nullptr;  // [rows, stored], or null
  Function function = Function::none;
  half* y;  // [rows, stored]
};

/** y = f(y + bias + residual), added in f32; channels that are not there become zero, whatever f is. Nothing is launched for y = y. */
void epilogue_forward(const EpilogueArgs&, cudaStream_t);

}  // namespace tvn::cuda
