#include "cuda/kernels/update.h"

#include "cuda/device/half8.h"

namespace tvn::cuda {
namespace {

constexpr int threads = 256;
constexpr int vectors_of_thread = 2;
constexpr int64_t block_elements = int64_t{threads} * vectors_of_thread * vector_width;

/** The i-th vector of this thread: neighbouring threads have neighbouring ones. */
__device__ __forceinline__ int64_t element(int i) {
  return blockIdx.x * block_elements + (i * threads + static_cast<int>(threadIdx.x)) * vector_width;
}

/** x − x is zero for all numbers, NaN for infinities and NaN. */
__global__ void find_overflow(int64_t size, const float* g, int* overflow) {
  float sum = 0;
#pragma unroll
  for (int i = 0; i < vectors_of_thread; i++) {
    const int64_t at = element(i);
    if (at >= size) continue;
    float values[vector_width];
    load8(g + at, values);
#pragma unroll
    for (int j = 0; j < vector_width; j++) sum += values[j] - values[j];
  }
  if (__syncthreads_or(sum != 0) && threadIdx.x == 0) atomicExch(overflow, 1);
}

/** The last segment that begins at or before the element. The table is small enough for the cache, and read while w, v and g are on their
 * way. */
__device__ __forceinline__ Segment segment_of(const UpdateArgs& a, int64_t at) {
  int low = 0, high = a.segments;
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    if (a.segment[middle].first <= at)
      low = middle;
    else
      high = middle;
  }
  return a.segment[low];
}

__device__ __forceinline__ void update_statistics(const UpdateArgs& a, const Segment& segment, int64_t at, float (&w)[8],
                                                  const float (&g)[8]) {
  const float share = (1 - a.running_decay) * (segment.kind == SegmentKind::running_variance ? segment.bessel : 1);
#pragma unroll
  for (int j = 0; j < vector_width; j++) w[j] = a.running_decay * w[j] + share * g[j];
  store8(a.w + at, w);
}

__device__ __forceinline__ void update_parameters(const UpdateArgs& a, const Segment& segment, int64_t at, float (&w)[8], float (&v)[8],
                                                  const float (&g)[8], float unscale, float rate) {
  const float decay = segment.kind == SegmentKind::decayed ? a.weight_decay : 0;
#pragma unroll
  for (int j = 0; j < vector_width; j++) {
    const float d = g[j] * unscale + decay * w[j];
    v[j] = a.momentum * v[j] + d;
    w[j] -= rate * (a.nesterov ? d + a.momentum * v[j] : v[j]);
  }
  store8(a.v + at, v);
  store8(a.w + at, w);
  store8(a.halves + at, w);
}

__global__ void update_all(UpdateArgs a) {
  if (*a.overflow) return;
  const float unscale = 1 / a.scaler->scale, rate = *a.rate;
#pragma unroll
  for (int i = 0; i < vectors_of_thread; i++) {
    const int64_t at = element(i);
    if (at >= a.size) continue;
    float w[vector_width], v[vector_width], g[vector_width];
    load8(a.w + at, w);
    load8(a.v + at, v);
    load8(a.g + at, g);
    const Segment segment = segment_of(a, at);
    if (at < segment.first || at >= segment.first + segment.count) continue;
    if (segment.kind == SegmentKind::running_mean || segment.kind == SegmentKind::running_variance)
      update_statistics(a, segment, at, w, g);
    else
      update_parameters(a, segment, at, w, v, g, unscale, rate);
  }
}

__global__ void change_scale(int growth_interval, ScalerState* scaler, int* overflow) {
  ScalerState s = *scaler;
  s.skipped = *overflow;
  if (s.skipped) {
    s.scale = fmaxf(s.scale / 2, smallest_loss_scale);
    s.good_steps = 0;
    s.skipped_steps++;
  } else if (++s.good_steps >= growth_interval) {
    s.scale = fminf(s.scale * 2, largest_loss_scale);
    s.good_steps = 0;
  }
  *scaler = s;
  *overflow = 0;
}

}  // namespace

void update(const UpdateArgs& a, cudaStream_t stream) {
  if (a.size == 0 || a.segments == 0) return;
  const dim3 grid(static_cast<unsigned>((a.size + block_elements - 1) / block_elements));
  LAUNCH(find_overflow, grid, threads, 0, stream, a.size, a.g, a.overflow);
  LAUNCH(update_all, grid, threads, 0, stream, a);
  LAUNCH(change_scale, 1, 1, 0, stream, a.growth_interval, a.scaler, a.overflow);
}

}  // namespace tvn::cuda
