// How the rows of [groups, count, C] are shared out among threads, where a kernel sums over them or spreads something over them.
// The shape alone decides, never the device: sums have the same bits everywhere.
#pragma once

#include <algorithm>

#include "cuda/device/divisor.h"
#include "cuda/device/reduce.h"
#include "cuda/kernels/shape.h"

namespace tvn::cuda {

/** So many blocks fill the largest GPU (132 SMs), several to an SM; more would only make more sums to be added. */
constexpr int enough_blocks = 512;
/** So many threads fill it: 132 SMs of 2048. */
constexpr int enough_threads = 1 << 18;

/**
 * Sums over rows. A block covers 2^shift vectors of channels (at most 8: a cache line of a row) of one part of a group's rows; parts are
 * summed by a second kernel. Short sums have one part, and no second kernel.
 */
struct Parts {
  int shift;
  int column_blocks;  // that cover all channels
  int parts, rows;    // of a group, of a part

  size_t workspace(int groups, int channels) const {
    return parts == 1 ? 0 : static_cast<size_t>(groups) * static_cast<size_t>(parts) * static_cast<size_t>(channels) * sizeof(float);
  }
};

/** `blocks`: of the grid for one part and one block of columns. A part leaves at least `least` rows to each of a block's threads. */
inline Parts cut_rows(int blocks, int count, int channels, int threads, int least) {
  const int vectors = channels / vector_width;
  Parts p{};
  while (p.shift < 3 && 1 << p.shift < vectors) p.shift++;
  p.column_blocks = ceil_div(vectors, 1 << p.shift);
  const int most = std::max(1, count / ((threads >> p.shift) * least));
  const int wanted = static_cast<int>(ceil_div(enough_blocks, std::min(enough_blocks, std::max(1, blocks * p.column_blocks))));
  p.rows = ceil_div(count, std::min(most, wanted));
  p.parts = std::max(1, ceil_div(count, std::max(1, p.rows)));
  return p;
}

/** The rows of one thread: begin, begin + step, … below end, of the vector of channels from `channel` on. Empty where there is none. */
struct PartRows {
  int channel, begin, end, step;

  template <int Threads>
  __device__ __forceinline__ static PartRows of(const Parts& p, int column_block, int part, int count, int channels) {
    const int thread = static_cast<int>(threadIdx.x);
    const int vector = (column_block << p.shift) + (thread & ((1 << p.shift) - 1));
    const int end = vector * vector_width < channels ? min(count, (part + 1) * p.rows) : 0;
    return {vector * vector_width, part * p.rows + (thread >> p.shift), end, Threads >> p.shift};
  }
};

/** Writes a row of f32 sums: a part of them. */
struct StoreSum {
  float* to;
  int channels;
  __device__ __forceinline__ void operator()(int row, int channel, float sum) const { to[row * channels + channel] = sum; }
};

/** Adds what threads of a block have, and writes the sums of its channels as those of `row`. */
template <int Threads, class Write>
__device__ __forceinline__ void write_column_sums(float (&values)[8], const Parts& p, int column_block, int row, int channels,
                                                  const Write& write) {
  __shared__ __align__(16) float shared[column_sum_floats<Threads>];
  const float sum = column_sum<Threads>(values, 1 << p.shift, shared);
  const int thread = static_cast<int>(threadIdx.x), channel = (column_block << p.shift) * vector_width + thread;
  if (thread < vector_width << p.shift && channel < channels) write(row, channel, sum);
}

/** Threads of add_parts: 8 slices of the parts for each of 32 channels. */
constexpr int add_parts_threads = 256;

/** write(g, c, Σ over parts of from[g, part, c]): every slice sums every eighth part, so that many parts do not take long. */
template <class Write>
__global__ void __launch_bounds__(add_parts_threads)
    add_parts(int parts, int channels, int channel_blocks, const float* __restrict__ from, Write write) {
  constexpr int slices = add_parts_threads / warp_size;
  __shared__ float shared[slices][warp_size];
  const int lane = static_cast<int>(threadIdx.x) % warp_size, slice = static_cast<int>(threadIdx.x) / warp_size;
  const int group = static_cast<int>(blockIdx.x) / channel_blocks;
  const int channel = (static_cast<int>(blockIdx.x) - group * channel_blocks) * warp_size + lane;
  float sum = 0;
  if (channel < channels) {
    const float* column = from + static_cast<size_t>(group) * static_cast<size_t>(parts) * static_cast<size_t>(channels) + channel;
#pragma unroll 8
    for (int part = slice; part < parts; part += slices) sum += column[static_cast<size_t>(part) * static_cast<size_t>(channels)];
  }
  shared[slice][lane] = sum;
  __syncthreads();
  if (slice > 0 || channel >= channels) return;
  float total = 0;
#pragma unroll
  for (int i = 0; i < slices; i++) total += shared[i][lane];
  write(group, channel, total);
}

template <class Write>
void launch_add_parts(int groups, int parts, int channels, const float* from, const Write& write, cudaStream_t stream) {
  const int channel_blocks = ceil_div(channels, warp_size);
  const auto kernel = add_parts<Write>;
  LAUNCH(kernel, groups * channel_blocks, add_parts_threads, 0, stream, parts, channels, channel_blocks, from, write);
}

/** What is the same for all rows of a group is spread over them: a thread owns a vector of channels of every slots-th row of a group. */
struct Slots {
  int slots, items;
  Divisor by_vector, by_slot;

  Slots(int groups, int count, int channels) {
    const int vectors = channels / vector_width;
    const int wanted = std::max(1, enough_threads / std::max(1, groups * vectors));
    slots = ceil_div(count, std::max(1, ceil_div(count, wanted)));
    items = groups * slots * vectors;
    by_vector = Divisor(std::max(1, vectors));
    by_slot = Divisor(std::max(1, slots));
  }
  struct Place {
    int group, slot, channel;
  };
  __device__ __forceinline__ Place place(int item) const {
    const int row = by_vector.quotient(item), group = by_slot.quotient(row);
    return {group, by_slot.remainder(row, group), by_vector.remainder(item, row) * vector_width};
  }
};

}  // namespace tvn::cuda
