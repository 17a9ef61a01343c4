// What happens to a tile of sums before it is written: bias, gate, residual, activation, pooling over time, and the mean over the clip.
#pragma once

#include "cuda/device/block_gemm.h"
#include "cuda/device/functions.h"
#include "cuda/kernels/conv.h"

namespace tvn::cuda {

struct ConvEpilogueArgs {
  Extents y;  // the tensor that is written
  const float* bias;
  const float* scale;  // [N][OC]; or a gate that makes it
  ConvGate gate;
  const float* bias2;  // of the shortcut; then the scale is in the sums already
  bool scaled;
  const half* residual;
  Function function;
  half* out;
  float* out32;
  ConvPooling pooling;  // of frames; kernel 1: none
  // the mean over the clip
  float* mean;         // [N][OC], or null
  float* mean_parts;   // [N][tiles][OC]
  int* mean_counters;  // [N][column tiles]
  int tiles;           // of a clip
};

/**
 * Long sums are made of 32 slices, each of which has every 32nd term, whatever the number of a tile's columns: so their bits do not depend
 * on it. The threads of a tile of 64 columns, eight each, have two slices each.
 */
constexpr int sum_slices = 32;
template <int Threads, int Columns>
constexpr int slices_a_thread = sum_slices* Columns / vector_width / Threads;

/** Adds slices of eight columns of each thread over the block: thread i < columns has the sum of column i afterwards. `shared`: the slices.
 */
template <int Threads, int Columns, int Slices>
__device__ __forceinline__ float add_columns(const float (&values)[Slices][8], float* shared) {
  constexpr int vectors = Columns / vector_width, threads_a_vector = Threads / vectors;
  const int thread = static_cast<int>(threadIdx.x);
  __syncthreads();
#pragma unroll
  for (int s = 0; s < Slices; s++)
    store8(shared + (s * threads_a_vector + thread / vectors) * Columns + thread % vectors * vector_width, values[s]);
  __syncthreads();
  float sum = 0;
  if (thread < Columns)
    for (int s = 0; s < Slices * threads_a_vector; s++) sum += shared[s * Columns + thread];
  return sum;
}

/** The same where a thread has one slice. */
template <int Threads, int Columns>
__device__ __forceinline__ float add_columns(const float (&values)[8], float* shared) {
  float slices[1][8];
#pragma unroll
  for (int i = 0; i < 8; i++) slices[0][i] = values[i];
  return add_columns<Threads, Columns>(slices, shared);
}

/** Calls f(slice of this thread, term) for its share of `terms` terms of long sums. */
template <int Threads, int Columns, class F>
__device__ __forceinline__ void for_slices(int terms, const F& f) {
  constexpr int vectors = Columns / vector_width, threads_a_vector = Threads / vectors;
  for (int first = static_cast<int>(threadIdx.x) / vectors; first < terms; first += sum_slices)
#pragma unroll
    for (int s = 0; s < slices_a_thread<Threads, Columns>; s++)
      if (first + s * threads_a_vector < terms) f(s, first + s * threads_a_vector);
}

/** The mean over a clip from the sums of its tiles: the tile that comes last adds all of them, in their order. */
template <int Threads, int Columns>
__device__ __forceinline__ void finish_mean(const ConvEpilogueArgs& e, int clip, int tile, int first_column, float sum, float* shared) {
  const int thread = static_cast<int>(threadIdx.x), channels = e.y.c;
  const float factor = 1.0f / static_cast<float>(e.pooling.positions(e.y));
  float* const parts = e.mean_parts + static_cast<long long>(clip) * e.tiles * channels + first_column;
  float* const mean = e.mean + static_cast<long long>(clip) * channels + first_column;
  const bool there = thread < Columns && first_column + thread < channels;
  if (e.tiles == 1) {
    if (there) mean[thread] = sum * factor;
    return;
  }
  if (there) parts[static_cast<long long>(tile) * channels + thread] = sum;
  if (!is_last_block(e.mean_counters + clip * ceil_div(channels, Columns) + first_column / Columns, e.tiles)) return;
  const int column = thread % (Columns / vector_width) * vector_width;
  float total[slices_a_thread<Threads, Columns>][8] = {};
  if (first_column + column < channels)
    for_slices<Threads, Columns>(e.tiles, [&](int slice, int t) {
      const float4* const from = reinterpret_cast<const float4*>(parts + static_cast<long long>(t) * channels + column);
      const float4 a = __ldcg(from), b = __ldcg(from + 1);
      float(&to)[8] = total[slice];
      to[0] += a.x, to[1] += a.y, to[2] += a.z, to[3] += a.w;
      to[4] += b.x, to[5] += b.y, to[6] += b.z, to[7] += b.w;
    });
  sum = add_columns<Threads, Columns>(total, shared);
  if (there) mean[thread] = sum * factor;
}

/**
 * The scale of a tile's columns from a gate's last layer: sigmoid(x·w + bias) · multiply, x being a vector of the clip. Every tile computes
 * its own columns, which costs less than a kernel in between. `shared`: 32 rows of the tile's columns.
 */
template <int Threads, int Columns>
__device__ __forceinline__ void excite(const ConvGate& gate, int channels, int clip, int first_column, float* shared, float* scale) {
  const int thread = static_cast<int>(threadIdx.x), column = first_column + thread % (Columns / vector_width) * vector_width;
  float sums[slices_a_thread<Threads, Columns>][8] = {};
  if (column < channels) {
    const float* const x = gate.x + static_cast<long long>(clip) * gate.inputs;
    for_slices<Threads, Columns>(gate.inputs, [&](int slice, int k) {
      float w[8];
      load8(gate.w + static_cast<long long>(k) * channels + column, w);
#pragma unroll
      for (int i = 0; i < 8; i++) sums[slice][i] += x[k] * w[i];
    });
  }
  float sum = add_columns<Threads, Columns>(sums, shared);
  if (thread < Columns && first_column + thread < channels) {
    const int at = first_column + thread;
    if (gate.bias) sum += gate.bias[at];
    sum = sigmoid(sum);
    if (gate.multiply) sum *= gate.multiply[static_cast<long long>(clip) * channels + at];
    scale[thread] = sum;
  }
  __syncthreads();
}

/** Eight values of a row, before pooling. */
__device__ __forceinline__ void finish(const ConvEpilogueArgs& e, const float* tile_scale, int clip, long long element, int column,
                                       float (&y)[8]) {
  float term[8], scale[8];
  const bool scales = e.scale || tile_scale;
  if (scales) load8(tile_scale ? tile_scale : e.scale + static_cast<long long>(clip) * e.y.c + column, scale);
  if (e.bias) {
    load8(e.bias + column, term);
#pragma unroll
    for (int i = 0; i < 8; i++) y[i] += e.scaled && scales ? term[i] * scale[i] : term[i];
  }
  if (scales && !e.scaled) {
#pragma unroll
    for (int i = 0; i < 8; i++) y[i] *= scale[i];
  }
  if (e.bias2) {
    load8(e.bias2 + column, term);
#pragma unroll
    for (int i = 0; i < 8; i++) y[i] += term[i];
  }
  if (e.residual) {
    load8(e.residual + element, term);
#pragma unroll
    for (int i = 0; i < 8; i++) y[i] += term[i];
  }
#pragma unroll
  for (int i = 0; i < 8; i++) y[i] = apply(e.function, y[i]);
}

/** Writes eight values, and leaves in y what the next op will read. */
__device__ __forceinline__ void write(const ConvEpilogueArgs& e, long long element, float (&y)[8]) {
  if (e.out32) {
    store8(e.out32 + element, y);
    return;
  }
  const Half8 rounded = to_halves(y);
  store8(e.out + element, rounded);
  to_floats(rounded, y);
}

/** The maximum, or the mean of the real ones, of the frames of a window; `rows` are a position's frames in shared memory. */
template <class T>
__device__ __forceinline__ void pool_frames(const ConvPooling& p, const T* rows, int stride, int frames, int frame, float (&y)[8]) {
  const int begin = max(frame * p.stride - p.pad, 0), end = min(frame * p.stride - p.pad + p.kernel, frames);
  load8(rows + begin * stride, y);
  for (int t = begin + 1; t < end; t++) {
    float x[8];
    load8(rows + t * stride, x);
#pragma unroll
    for (int i = 0; i < 8; i++) y[i] = p.pooling == Pooling::avg ? y[i] + x[i] : x[i] > y[i] || x[i] != x[i] ? x[i] : y[i];
  }
  if (p.pooling == Pooling::avg) {
    const float factor = 1.0f / static_cast<float>(end - begin);
#pragma unroll
    for (int i = 0; i < 8; i++) y[i] *= factor;
  }
}

}  // namespace tvn::cuda
