// A thread takes one vector of eight channels, like everything that works element by element (elementwise.cu).
#include "cuda/kernels/epilogue.h"

#include "cuda/device/divisor.h"
#include "cuda/device/functions.h"
#include "cuda/device/half8.h"

namespace tvn::cuda {
namespace {

constexpr int threads = 256;

__global__ void __launch_bounds__(threads) epilogue_forward_kernel(int vectors, Divisor by_row, int row_vectors, EpilogueArgs a) {
  const int vector = static_cast<int>(blockIdx.x) * threads + static_cast<int>(threadIdx.x);
  if (vector >= vectors) return;
  const int at = vector * vector_width, channel = (vector - by_row.quotient(vector) * row_vectors) * vector_width;
  float y[8], term[8];
  load8(a.y + at, y);
  if (a.bias) {
    load8(a.bias + channel, term);
#pragma unroll
    for (int i = 0; i < 8; i++) y[i] += term[i];
  }
  if (a.residual) {
    load8(a.residual + at, term);
#pragma unroll
    for (int i = 0; i < 8; i++) y[i] += term[i];
  }
#pragma unroll
  for (int i = 0; i < 8; i++) y[i] = channel + i < a.channels ? apply(a.function, y[i]) : 0;
  store8(a.y + at, y);
}

}  // namespace

void epilogue_forward(const EpilogueArgs& a, cudaStream_t stream) {
  const int row_vectors = a.stored / vector_width, vectors = a.rows * row_vectors;
  if (vectors == 0 || (!a.bias && !a.residual && a.function == Function::none)) return;
  LAUNCH(epilogue_forward_kernel, ceil_div(vectors, threads), threads, 0, stream, vectors, Divisor(row_vectors), row_vectors, a);
}

}  // namespace tvn::cuda
