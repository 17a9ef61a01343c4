// y = x · sigmoid(z), z [N, C] broadcast over the clip, and its gradients: dx (+)= dy·s, dz = s·(1 − s)·Σ dy·x, s = sigmoid(z).
#pragma once

#include "cuda/kernels/shape.h"

namespace tvn::cuda {

struct GateShape {
  int n, positions, channels;
};

struct GateForwardArgs {
  const half* x;  // [N, positions, C]
  const half* z;  // [N, C]
  half* y;        // may be x
};

struct GateBackwardArgs {
  const half* x;
  const half* z;
  const half* dy;
  bool accumulate;  // add to dx instead of overwriting it
  half* dx;         // may be dy
  bool accumulate_z;
  half* dz;
  float* workspace;  // gate_backward_workspace bytes
};

void gate_forward(const GateShape&, const GateForwardArgs&, cudaStream_t);
/** Sums in f32, in an order that the shape alone decides. */
void gate_backward(const GateShape&, const GateBackwardArgs&, cudaStream_t);
size_t gate_backward_workspace(const GateShape&);

}  // namespace tvn::cuda
