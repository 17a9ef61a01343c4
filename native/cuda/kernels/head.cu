#include "cuda/kernels/head.h"

#include "cuda/device/functions.h"
#include "cuda/device/reduce.h"

namespace tvn::cuda {
namespace {

constexpr int threads = 128;

/** The softmax over time of one output. Its values are read three times: they are few. */
struct OverTime {
  const float* x;
  int frames, stride;
  float scale, largest, sum, mean;

  __device__ __forceinline__ OverTime(const TemporalSoftmaxShape& s, const float* first)
      : x(first), frames(s.frames), stride(s.stored), scale(1 / sqrtf(static_cast<float>(s.frames))), largest(first[0]), sum(0), mean(0) {
    for (int t = 1; t < frames; t++) largest = fmaxf(largest, x[t * stride]);
    for (int t = 0; t < frames; t++) {
      const float e = exponential(t);
      sum += e;
      mean += e * x[t * stride];
    }
    mean /= sum;
  }
  __device__ __forceinline__ float exponential(int t) const { return expf((x[t * stride] - largest) * scale); }
};

__global__ void temporal_softmax_forward_kernel(TemporalSoftmaxShape s, const float* x, float* y) {
  const int i = static_cast<int>(blockIdx.x) * threads + static_cast<int>(threadIdx.x), n = i / s.stored, k = i % s.stored;
  if (n >= s.n) return;
  y[i] = k < s.outputs ? OverTime(s, x + n * s.frames * s.stored + k).mean : 0;
}

/** dx_t = dy·p_t·(1 + (x_t − y) / sqrt(T)). */
__global__ void temporal_softmax_backward_kernel(TemporalSoftmaxShape s, const float* x, const float* dy, half* dx) {
  const int i = static_cast<int>(blockIdx.x) * threads + static_cast<int>(threadIdx.x), n = i / s.stored, k = i % s.stored;
  if (n >= s.n) return;
  const int first = n * s.frames * s.stored + k;
  if (k >= s.outputs) {
    for (int t = 0; t < s.frames; t++) dx[first + t * s.stored] = __float2half(0.0f);
    return;
  }
  const OverTime softmax(s, x + first);
  const float share = dy[i] / softmax.sum;
  for (int t = 0; t < s.frames; t++) {
    const int at = first + t * s.stored;
    dx[at] = __float2half(share * softmax.exponential(t) * (1 + (x[at] - softmax.mean) * softmax.scale));
  }
}

/** The largest of a block's values, in every thread; not NaN unless all are. */
__device__ __forceinline__ float block_largest(float value, float* shared) {
#pragma unroll
  for (int distance = warp_size / 2; distance > 0; distance /= 2) value = fmaxf(value, __shfl_xor_sync(0xffffffffu, value, distance));
  if (threadIdx.x % warp_size == 0) shared[threadIdx.x / warp_size] = value;
  __syncthreads();
#pragma unroll
  for (int i = 0; i < threads / warp_size; i++) value = fmaxf(value, shared[i]);
  return value;
}

__device__ __forceinline__ void store_gradient(const LossArgs& a, int at, float value) {
  if (a.dlogits) a.dlogits[at] = __float2half(value);
  if (a.dlogits32) a.dlogits32[at] = value;
}

/** One block a clip. A NaN logit makes the sum NaN, and with it the loss and every gradient of the clip. */
__global__ void softmax_cross_entropy(LossArgs a) {
  __shared__ float shared[threads / warp_size];
  const int n = static_cast<int>(blockIdx.x), thread = static_cast<int>(threadIdx.x), label = a.labels[n];
  const float* const z = a.logits + n * a.stored;
  float largest = -INFINITY, sum = 0, loss = 0;
  for (int k = thread; k < a.classes; k += threads) largest = fmaxf(largest, z[k]);
  largest = block_largest(largest, shared);
  for (int k = thread; k < a.classes; k += threads) sum += expf(z[k] - largest);
  sum = block_sum<threads>(sum, shared);
  const float log_sum = logf(sum), scale = *a.loss_scale / static_cast<float>(a.n);
  for (int k = thread; k < a.stored; k += threads) {
    float gradient = 0;
    if (k < a.classes) {
      const float q = (k == label ? 1 - a.smoothing : 0) + a.smoothing / static_cast<float>(a.classes), log_p = z[k] - largest - log_sum;
      if (q != 0) loss -= q * log_p;
      gradient = (expf(log_p) - q) * scale;
    }
    store_gradient(a, n * a.stored + k, gradient);
  }
  loss = block_sum<threads>(loss, shared);
  if (thread == 0) a.losses[n] = loss / static_cast<float>(a.n);
}

/** −(q·log σ(z) + (1 − q)·log(1 − σ(z))) = max(z, 0) − q·z + log(1 + e^−|z|). */
__global__ void sigmoid_cross_entropy(LossArgs a) {
  __shared__ float shared[threads / warp_size];
  const int n = static_cast<int>(blockIdx.x), thread = static_cast<int>(threadIdx.x);
  const float share = 1 / (static_cast<float>(a.n) * static_cast<float>(a.classes)), scale = *a.loss_scale * share;
  float loss = 0;
  for (int k = thread; k < a.stored; k += threads) {
    float gradient = 0;
    if (k < a.classes) {
      const float z = a.logits[n * a.stored + k];
      const float q = static_cast<float>(a.labels[n * a.classes + k]) * (1 - a.smoothing) + a.smoothing / 2;
      loss += (z > 0 ? z : 0) - q * z + log1pf(expf(-fabsf(z)));
      gradient = (sigmoid(z) - q) * scale;
    }
    store_gradient(a, n * a.stored + k, gradient);
  }
  loss = block_sum<threads>(loss, shared);
  if (thread == 0) a.losses[n] = loss * share;
}

dim3 grid_of(const TemporalSoftmaxShape& s) { return dim3(static_cast<unsigned>(ceil_div(s.n * s.stored, threads))); }

}  // namespace

void temporal_softmax_forward(const TemporalSoftmaxShape& s, const float* x, float* y, cudaStream_t stream) {
  if (s.n * s.stored == 0 || s.frames == 0) return;
  LAUNCH(temporal_softmax_forward_kernel, grid_of(s), threads, 0, stream, s, x, y);
}

void temporal_softmax_backward(const TemporalSoftmaxShape& s, const float* x, const float* dy, half* dx, cudaStream_t stream) {
  if (s.n * s.stored == 0 || s.frames == 0) return;
  LAUNCH(temporal_softmax_backward_kernel, grid_of(s), threads, 0, stream, s, x, dy, dx);
}

void loss(const LossArgs& a, cudaStream_t stream) {
  if (a.n == 0 || a.classes == 0) return;
  const dim3 grid(static_cast<unsigned>(a.n));
  if (a.multi_label)
    LAUNCH(sigmoid_cross_entropy, grid, threads, 0, stream, a);
  else
    LAUNCH(softmax_cross_entropy, grid, threads, 0, stream, a);
}

}  // namespace tvn::cuda
