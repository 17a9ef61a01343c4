#include "cuda/kernels/mean.h"

#include "cuda/device/half8.h"
#include "cuda/kernels/rows.h"

namespace tvn::cuda {
namespace {

/** Many, and several rows in flight for each: at batch 1 a sum is short and waits for memory, row after row. */
constexpr int threads = 512;
constexpr int batch = 4;

struct WriteMean {
  half* y;
  float* y32;
  int channels;
  float scale;
  __device__ __forceinline__ void operator()(int group, int channel, float sum) const {
    const int at = group * channels + channel;
    if (y) y[at] = __float2half(sum * scale);
    if (y32) y32[at] = sum * scale;
  }
};

template <class Write>
__global__ void __launch_bounds__(threads, 2) mean_sums(MeanShape s, Parts p, const half* __restrict__ x, Write write) {
  const int group = static_cast<int>(blockIdx.x) / p.column_blocks, part = static_cast<int>(blockIdx.y);
  const int column_block = static_cast<int>(blockIdx.x) - group * p.column_blocks;
  const PartRows rows = PartRows::of<threads>(p, column_block, part, s.count, s.channels);
  const half* from = x + group * s.count * s.channels + rows.channel;
  float sums[8] = {};
  for (int row = rows.begin; row < rows.end; row += batch * rows.step) {
    Half8 x8[batch];
#pragma unroll
    for (int r = 0; r < batch; r++) x8[r] = load8_or_zero(from + (row + r * rows.step) * s.channels, row + r * rows.step < rows.end);
#pragma unroll
    for (int r = 0; r < batch; r++) {
      float values[8];
      to_floats(x8[r], values);
#pragma unroll
      for (int i = 0; i < 8; i++) sums[i] += values[i];
    }
  }
  write_column_sums<threads>(sums, p, column_block, group * p.parts + part, s.channels, write);
}

__global__ void __launch_bounds__(threads)
    mean_backward_kernel(MeanShape s, Slots slots, float scale, const half* __restrict__ dy, bool accumulate, half* __restrict__ dx) {
  const int item = static_cast<int>(blockIdx.x) * threads + static_cast<int>(threadIdx.x);
  if (item >= slots.items) return;
  const auto [group, slot, channel] = slots.place(item);
  float d[8];
  load8(dy + group * s.channels + channel, d);
#pragma unroll
  for (int i = 0; i < 8; i++) d[i] *= scale;
  for (int row = slot; row < s.count; row += slots.slots) {
    half* to = dx + (group * s.count + row) * s.channels + channel;
    float sum[8] = {};
    if (accumulate) load8(to, sum);
#pragma unroll
    for (int i = 0; i < 8; i++) sum[i] += d[i];
    store8(to, sum);
  }
}

Parts parts_of(const MeanShape& s) { return cut_rows(s.groups, s.count, s.channels, threads, 16); }

void sum_scaled(const MeanShape& s, const MeanForwardArgs& a, float scale, cudaStream_t stream) {
  if (s.groups == 0 || s.channels == 0) return;
  const Parts p = parts_of(s);
  const dim3 grid(static_cast<unsigned>(s.groups * p.column_blocks), static_cast<unsigned>(p.parts));
  const WriteMean write{a.y, a.y32, s.channels, scale};
  if (p.parts == 1) {
    const auto kernel = mean_sums<WriteMean>;
    LAUNCH(kernel, grid, threads, 0, stream, s, p, a.x, write);
    return;
  }
  const StoreSum store{a.workspace, s.channels};
  const auto kernel = mean_sums<StoreSum>;
  LAUNCH(kernel, grid, threads, 0, stream, s, p, a.x, store);
  launch_add_parts(s.groups, p.parts, s.channels, a.workspace, write, stream);
}

}  // namespace

void mean_forward(const MeanShape& s, const MeanForwardArgs& a, cudaStream_t stream) {
  sum_scaled(s, a, 1.0f / static_cast<float>(s.count), stream);
}
void sum_rows(const MeanShape& s, const MeanForwardArgs& a, cudaStream_t stream) { sum_scaled(s, a, 1, stream); }

size_t mean_workspace(const MeanShape& s) { return parts_of(s).workspace(s.groups, s.channels); }

void mean_backward(const MeanShape& s, const MeanBackwardArgs& a, cudaStream_t stream) {
  const Slots slots(s.groups, s.count, s.channels);
  if (slots.items == 0) return;
  const float scale = 1.0f / static_cast<float>(s.count);
  LAUNCH(mean_backward_kernel, ceil_div(slots.items, threads), threads, 0, stream, s, slots, scale, a.dy, a.accumulate, a.dx);
}

}  // namespace tvn::cuda
