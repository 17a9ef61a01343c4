// A thread takes one vector of eight channels: 2048 threads of an SM have enough loads in flight, and small tensors become many blocks.
#include "cuda/kernels/elementwise.h"

#include <type_traits>

#include "cuda/device/divisor.h"
#include "cuda/device/functions.h"
#include "cuda/device/half8.h"
#include "cuda/device/random.h"

namespace tvn::cuda {
namespace {

constexpr int threads = 256;

__device__ __forceinline__ int thread_index() { return static_cast<int>(blockIdx.x) * threads + static_cast<int>(threadIdx.x); }

/** A row of three bytes becomes one vector. */
__global__ void __launch_bounds__(threads) normalize_kernel(int rows, const uint8_t* __restrict__ x, half* __restrict__ y) {
  const int row = thread_index();
  if (row >= rows) return;
  float values[8] = {};
#pragma unroll
  for (int c = 0; c < 3; c++) values[c] = static_cast<float>(x[3 * row + c]) * (1 / 127.5f) - 1;
  store8(y + row * vector_width, values);
}

template <Function function>
__global__ void __launch_bounds__(threads)
    activation_forward_kernel(int vectors, Divisor by_row, int row_vectors, int channels, const half* x, half* y) {
  const int vector = thread_index();
  if (vector >= vectors) return;
  float values[8];
  load8(x + vector * vector_width, values);
#pragma unroll
  for (int i = 0; i < 8; i++) values[i] = apply(function, values[i]);
  if (function == Function::sigmoid) {
    const int first = (vector - by_row.quotient(vector) * row_vectors) * vector_width;
#pragma unroll
    for (int i = 0; i < 8; i++) values[i] = first + i < channels ? values[i] : 0;
  }
  store8(y + vector * vector_width, values);
}

/** What dy is multiplied with: from y, or from x where f' cannot be told from y. */
template <Function function>
__device__ __forceinline__ float slope(float seen) {
  return function == Function::sigmoid ? seen * (1 - seen) : derivative(function, seen);
}

/** `seen`: x or y, whatever the derivative is computed from. */
template <Function function>
__global__ void __launch_bounds__(threads)
    activation_backward_kernel(int vectors, const half* seen, const half* dy, bool accumulate, half* dx) {
  const int vector = thread_index();
  if (vector >= vectors) return;
  const int at = vector * vector_width;
  float d[8], to[8] = {};
  load8(dy + at, d);
  if (function != Function::none) {
    float values[8];
    load8(seen + at, values);
#pragma unroll
    for (int i = 0; i < 8; i++) d[i] *= slope<function>(values[i]);
  }
  if (accumulate) load8(dx + at, to);
#pragma unroll
  for (int i = 0; i < 8; i++) to[i] += d[i];
  store8(dx + at, to);
}

template <Function function>
__global__ void __launch_bounds__(threads) add_forward_kernel(int vectors, const half* a, const half* b, half* y) {
  const int vector = thread_index();
  if (vector >= vectors) return;
  const int at = vector * vector_width;
  float sum[8], more[8];
  load8(a + at, sum);
  load8(b + at, more);
#pragma unroll
  for (int i = 0; i < 8; i++) sum[i] = apply(function, sum[i] + more[i]);
  store8(y + at, sum);
}

__device__ __forceinline__ void put(half* to, const float (&d)[8], bool accumulate) {
  float sum[8] = {};
  if (accumulate) load8(to, sum);
#pragma unroll
  for (int i = 0; i < 8; i++) sum[i] += d[i];
  store8(to, sum);
}

template <Function function>
__global__ void __launch_bounds__(threads) add_backward_kernel(int vectors, AddBackwardArgs args) {
  const int vector = thread_index();
  if (vector >= vectors) return;
  const int at = vector * vector_width;
  float d[8];
  load8(args.dy + at, d);
  if (function != Function::none) {
    float y[8];
    load8(args.y + at, y);
#pragma unroll
    for (int i = 0; i < 8; i++) d[i] *= derivative(function, y[i]);
  }
  if (args.da) put(args.da + at, d, args.accumulate_a);
  if (args.db) put(args.db + at, d, args.accumulate_b);
}

/** Stored padding is zero and stays so, whatever it draws. */
__global__ void __launch_bounds__(threads)
    dropout_kernel(int vectors, Divisor by_row, int row_vectors, uint32_t threshold, float scale, DropoutArgs a) {
  const int vector = thread_index();
  if (vector >= vectors) return;
  const int at = vector * vector_width, row = by_row.quotient(vector), channel = (vector - row * row_vectors) * vector_width;
  const DropoutRandom random(*a.seed);
  float values[8], to[8] = {};
  load8(a.x + at, values);
  if (a.accumulate) load8(a.y + at, to);
#pragma unroll
  for (int i = 0; i < 8; i++) to[i] += values[i] * (random(static_cast<uint32_t>(row * a.channels + channel + i)) < threshold ? 0 : scale);
  store8(a.y + at, to);
}

/** launch(the function as a constant) */
template <class Launch>
void with_function(Function function, const Launch& launch) {
  switch (function) {
    case Function::none: return launch(std::integral_constant<Function, Function::none>{});
    case Function::relu: return launch(std::integral_constant<Function, Function::relu>{});
    case Function::hswish: return launch(std::integral_constant<Function, Function::hswish>{});
    case Function::sigmoid: return launch(std::integral_constant<Function, Function::sigmoid>{});
  }
}

int vectors_of(size_t size) { return static_cast<int>(size / vector_width); }

}  // namespace

void normalize(int rows, const uint8_t* x, half* y, cudaStream_t stream) {
  if (rows > 0) LAUNCH(normalize_kernel, ceil_div(rows, threads), threads, 0, stream, rows, x, y);
}

void activation_forward(Function function, int rows, int stored, int channels, const half* x, half* y, cudaStream_t stream) {
  const int row_vectors = stored / vector_width, vectors = rows * row_vectors;
  if (vectors == 0) return;
  with_function(function, [&](auto constant) {
    const auto kernel = activation_forward_kernel<constant.value>;
    LAUNCH(kernel, ceil_div(vectors, threads), threads, 0, stream, vectors, Divisor(row_vectors), row_vectors, channels, x, y);
  });
}

void activation_backward(Function function, size_t size, const ActivationBackwardArgs& a, cudaStream_t stream) {
  const int vectors = vectors_of(size);
  if (vectors == 0) return;
  with_function(function, [&](auto constant) {
    const auto kernel = activation_backward_kernel<constant.value>;
    LAUNCH(kernel, ceil_div(vectors, threads), threads, 0, stream, vectors, function == Function::hswish ? a.x : a.y, a.dy, a.accumulate,
           a.dx);
  });
}

void add_forward(Function function, size_t size, const half* a, const half* b, half* y, cudaStream_t stream) {
  const int vectors = vectors_of(size);
  if (vectors == 0) return;
  with_function(function, [&](auto constant) {
    const auto kernel = add_forward_kernel<constant.value>;
    LAUNCH(kernel, ceil_div(vectors, threads), threads, 0, stream, vectors, a, b, y);
  });
}

void add_backward(Function function, size_t size, const AddBackwardArgs& a, cudaStream_t stream) {
  const int vectors = vectors_of(size);
  if (vectors == 0) return;
  const auto kernel = function == Function::relu ? add_backward_kernel<Function::relu> : add_backward_kernel<Function::none>;
  LAUNCH(kernel, ceil_div(vectors, threads), threads, 0, stream, vectors, a);
}

void dropout(const DropoutArgs& a, cudaStream_t stream) {
  const int row_vectors = a.stored / vector_width, vectors = a.rows * row_vectors;
  if (vectors == 0) return;
  LAUNCH(dropout_kernel, ceil_div(vectors, threads), threads, 0, stream, vectors, Divisor(row_vectors), row_vectors,
         dropout_threshold(a.rate), 1 / (1 - a.rate), a);
}

}  // namespace tvn::cuda
