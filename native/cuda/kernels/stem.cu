#include "cuda/kernels/stem.h"

#include "cuda/device/divisor.h"
#include "cuda/device/functions.h"
#include "cuda/device/half8.h"

namespace tvn::cuda {
namespace {

constexpr int threads = 256;
/** Rows that a thread computes with the weights that it holds. */
constexpr int rows_a_thread = 8;

/** 24 products a vector of outputs are too few for tensor cores: the time is that of writing y. Neighbouring threads write neighbouring
 * vectors. */
__global__ void __launch_bounds__(threads) stem(const StemArgs a, const Divisor by_vector, int slots) {
  const int item = static_cast<int>(blockIdx.x) * threads + static_cast<int>(threadIdx.x);
  const int slot = by_vector.quotient(item), column = by_vector.remainder(item, slot) * vector_width;
  if (slot >= slots) return;
  float w[3][8], bias[8] = {};
#pragma unroll
  for (int c = 0; c < 3; c++) load8(a.w + c * a.outputs + column, w[c]);
  if (a.bias) load8(a.bias + column, bias);
  for (int row = slot; row < a.rows; row += slots) {
    float x[3], y[8];
#pragma unroll
    for (int c = 0; c < 3; c++) {  // rounded as a tensor of halves would be
      x[c] = __half2float(__float2half(static_cast<float>(a.x[static_cast<size_t>(row) * 3 + static_cast<size_t>(c)]) * (1 / 127.5f) - 1));
    }
#pragma unroll
    for (int i = 0; i < 8; i++) y[i] = apply(a.function, x[0] * w[0][i] + x[1] * w[1][i] + x[2] * w[2][i] + bias[i]);
    store8(a.y + static_cast<size_t>(row) * static_cast<size_t>(a.outputs) + static_cast<size_t>(column), y);
  }
}

}  // namespace

void stem_forward(const StemArgs& a, cudaStream_t stream) {
  if (a.rows == 0) return;
  const int vectors = a.outputs / vector_width, slots = ceil_div(a.rows, rows_a_thread);
  LAUNCH(stem, static_cast<unsigned>(ceil_div(slots * vectors, threads)), threads, 0, stream, a, Divisor(vectors), slots);
}

}  // namespace tvn::cuda
