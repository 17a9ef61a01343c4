// What works element by element. Sizes are multiples of 8 (stored channels); pointers are 16-byte aligned and may be equal where a
// contract says "may be".
#pragma once

#include <cstdint>

#include "cuda/kernels/shape.h"

namespace tvn::cuda {

/** Bytes to halves: y = x / 127.5 − 1. x: [rows, 3], y: [rows, 8], whose last five channels are zero. */
void normalize(int rows, const uint8_t* x, half* y, cudaStream_t);

/** y = f(x); y may be x. With `channels` < `stored` the channels that are not there stay zero (sigmoid(0) is not). */
void activation_forward(Function, int rows, int stored, int channels, const half* x, half* y, cudaStream_t);

struct ActivationBackwardArgs {
  const half* x;  // relu and sigmoid read y only, hswish reads x only, so the other may be null
  const half* y;
  const half* dy;
  bool accumulate;  // add to dx
  half* dx;         // may be dy
};
void activation_backward(Function, size_t size, const ActivationBackwardArgs&, cudaStream_t);

/** y = f(a + b); y may be a or b. f(0) = 0 where channels are padded: not sigmoid. */
void add_forward(Function, size_t size, const half* a, const half* b, half* y, cudaStream_t);
/**
 * d = dy where f is none; dy where y > 0, else 0 (NaN where y is), where f is relu (others are not fused). da (+)= d, db (+)= d; either may
 * be null or dy.
 */
struct AddBackwardArgs {
  const half* y;  // read where f is relu only
  const half* dy;
  bool accumulate_a, accumulate_b;
  half* da;
  half* db;
};
void add_backward(Function, size_t size, const AddBackwardArgs&, cudaStream_t);

/**
 * y = x·m / (1 − rate), m = 1 with probability 1 − rate: the same mask as the CPU's dropout, which is keyed by (seed, index of the element
 * in the tensor without stored padding); also the gradient, from dy to dx. y may be x. The seed is read on the device.
 */
struct DropoutArgs {
  int rows, stored, channels;
  float rate;                      // in [0, 1)
  const unsigned long long* seed;  // one, on the device
  const half* x;
  half* y;
  bool accumulate;  // add to y
};
void dropout(const DropoutArgs&, cudaStream_t);

}  // namespace tvn::cuda
