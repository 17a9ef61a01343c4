#include "cuda/kernels/batch_norm.h"

#include <type_traits>

#include "cuda/device/functions.h"
#include "cuda/device/half8.h"

namespace tvn::cuda {
namespace {

constexpr int threads = 128;
constexpr int batch = 4;                                    // rows of a thread that are loaded together
constexpr int merge_threads = 256;                          // eight channels at a time
constexpr int merge_height = merge_threads / vector_width;  // threads of a channel

/** A block works on columns × height threads: a thread has one vector of channels and every height-th row of the block's chunk. */
struct Cut {
  int columns, height;
  int tiles;               // of `columns` vectors
  int chunks, chunk_rows;  // of rows
};

/** Neighbouring threads read neighbouring vectors, also across rows. A chunk is a batch of each thread, or more where rows are many. */
Cut cut(const BatchNormShape& s) {
  constexpr int widest = 32, blocks = 1024;
  const int vectors = s.stored / vector_width;
  Cut c;
  c.tiles = ceil_div(vectors, widest);
  c.columns = ceil_div(vectors, c.tiles);
  c.height = threads / c.columns;
  c.chunk_rows = round_up(ceil_div(s.rows, c.tiles < blocks ? blocks / c.tiles : 1), c.height * batch);
  c.chunks = ceil_div(s.rows, c.chunk_rows);
  return c;
}

/** What a thread works on: rows row, row + height, … < end; none where there is no such vector. */
struct Place {
  int channel, row, end;
};

__device__ __forceinline__ Place place(const BatchNormShape& s, const Cut& c) {
  const int thread = static_cast<int>(threadIdx.x), x = thread % c.columns, y = thread / c.columns;
  const int channel = (static_cast<int>(blockIdx.y) * c.columns + x) * vector_width;
  if (y >= c.height || channel >= s.stored) return {0, 0, 0};
  const int first = static_cast<int>(blockIdx.x) * c.chunk_rows;
  return {channel, first + y, min(first + c.chunk_rows, s.rows)};
}

/** How many rows the thread has from `row` on. */
__device__ __forceinline__ int rows_left(const Cut& c, const Place& p, int row) {
  return row < p.end ? (p.end - row - 1) / c.height + 1 : 0;
}

/** The thread's next rows; zeros behind the last. */
__device__ __forceinline__ void load_rows(const half* from, int stored, const Cut& c, const Place& p, int row, Half8 (&rows)[batch]) {
  const int count = rows_left(c, p, row);
#pragma unroll
  for (int i = 0; i < batch; i++) {
    rows[i] = {};
    if (i < count) rows[i] = load8(from + (row + i * c.height) * stored + p.channel);
  }
}

/** What is known of some values: two sums, or mean and Σ (x − mean)². */
struct Part {
  float first, second;
};

struct MergeSums {
  __device__ __forceinline__ void operator()(Part& to, const Part& from, float, float) const {
    to.first += from.first;
    to.second += from.second;
  }
};

/** Chan, Golub and LeVeque 1979. `count`, `more`: of how many values the parts are. */
struct MergeMoments {
  __device__ __forceinline__ void operator()(Part& to, const Part& from, float count, float more) const {
    const float share = more > 0 ? more / (count + more) : 0, step = from.first - to.first;
    to.first += step * share;
    to.second += from.second + step * step * count * share;
  }
};

/** Merges the parts of a block's rows of threads in a tree that the height alone decides. The first row of threads has the result. */
template <int Threads, int Values, class Merge>
__device__ __forceinline__ void merge_rows(Part (&parts)[Values], float count, int columns, int height, const Merge& merge) {
  __shared__ Part shared[Values][Threads];
  __shared__ float counts[Threads];
  const int thread = static_cast<int>(threadIdx.x), y = thread / columns;
#pragma unroll
  for (int i = 0; i < Values; i++) shared[i][thread] = parts[i];
  counts[thread] = count;
  for (int left = height; left > 1;) {
    const int kept = (left + 1) / 2, other = thread + kept * columns;
    __syncthreads();
    if (y < left - kept) {
#pragma unroll
      for (int i = 0; i < Values; i++) merge(shared[i][thread], shared[i][other], counts[thread], counts[other]);
      counts[thread] += counts[other];
    }
    left = kept;
  }
#pragma unroll
  for (int i = 0; i < Values; i++) parts[i] = shared[i][thread];
}

/** Merges the parts of the block's chunk and writes them: the workspace is [2, chunks, stored]. */
template <class Merge>
__device__ __forceinline__ void store_parts(const BatchNormShape& s, const Cut& c, const Place& p, Part (&parts)[vector_width],
                                            const Merge& merge, float* workspace) {
  merge_rows<threads>(parts, static_cast<float>(rows_left(c, p, p.row)), c.columns, c.height, merge);
  if (static_cast<int>(threadIdx.x) >= c.columns || p.row >= p.end) return;
  float first[vector_width], second[vector_width];
#pragma unroll
  for (int i = 0; i < vector_width; i++) first[i] = parts[i].first, second[i] = parts[i].second;
  float* const to = workspace + static_cast<int>(blockIdx.x) * s.stored + p.channel;
  store8(to, first);
  store8(to + c.chunks * s.stored, second);
}

/** The part of a channel over all chunks, in the first eight threads of the block that has these channels. */
template <class Merge>
__device__ __forceinline__ Part merge_chunks(const BatchNormShape& s, const Cut& c, int channel, const Merge& merge,
                                             const float* workspace) {
  Part parts[1] = {};
  float count = 0;
  for (int chunk = static_cast<int>(threadIdx.x) / vector_width; chunk < c.chunks; chunk += merge_height) {
    const float rows = static_cast<float>(min(c.chunk_rows, s.rows - chunk * c.chunk_rows));
    const float* const from = workspace + chunk * s.stored + channel;
    merge(parts[0], {from[0], from[c.chunks * s.stored]}, count, rows);
    count += rows;
  }
  merge_rows<merge_threads>(parts, count, vector_width, merge_height, merge);
  return parts[0];
}

__device__ __forceinline__ int merged_channel() { return static_cast<int>(blockIdx.x * vector_width + threadIdx.x % vector_width); }

__global__ void moments_of_chunks(BatchNormShape s, Cut c, const half* x, float* workspace) {
  const Place p = place(s, c);
  Part parts[vector_width] = {};
  float count = 0;
  for (int row = p.row; row < p.end; row += batch * c.height) {
    Half8 rows[batch];
    load_rows(x, s.stored, c, p, row, rows);
    float values[batch][vector_width];
#pragma unroll
    for (int i = 0; i < batch; i++) to_floats(rows[i], values[i]);
    const int left = rows_left(c, p, row);
    const float more = static_cast<float>(min(left, batch)), share = 1 / more;
#pragma unroll
    for (int j = 0; j < vector_width; j++) {
      float sum = 0, squares = 0;
#pragma unroll
      for (int i = 0; i < batch; i++) sum += values[i][j];
      const float mean = sum * share;
#pragma unroll
      for (int i = 0; i < batch; i++) squares += i < left ? (values[i][j] - mean) * (values[i][j] - mean) : 0;
      MergeMoments{}(parts[j], {mean, squares}, count, more);
    }
    count += more;
  }
  store_parts(s, c, p, parts, MergeMoments{}, workspace);
}

__global__ void merge_moments(BatchNormShape s, Cut c, const float* workspace, float* mean, float* variance) {
  const int channel = merged_channel();
  const Part part = merge_chunks(s, c, channel, MergeMoments{}, workspace);
  if (threadIdx.x >= vector_width) return;
  mean[channel] = part.first;
  variance[channel] = part.second / static_cast<float>(s.rows);
}

__device__ __forceinline__ float reciprocal_deviation(float variance, float epsilon) { return 1 / sqrtf(variance + epsilon); }

/** u = (x − mean)·scale + shift: the mean first, so that a large one costs no digits. */
struct Normalisation {
  float mean[vector_width], scale[vector_width], shift[vector_width];

  template <class Args>
  __device__ __forceinline__ Normalisation(const Args& a, int channel) {
    load8(a.mean + channel, mean);
    load8(a.variance + channel, scale);
    load8(a.beta + channel, shift);
    float gamma[vector_width];
    load8(a.gamma + channel, gamma);
#pragma unroll
    for (int j = 0; j < vector_width; j++) scale[j] = gamma[j] * reciprocal_deviation(scale[j], a.epsilon);
  }
};

template <Function function>
__global__ void apply_rows(BatchNormShape s, Cut c, BatchNormForwardArgs a) {
  const Place p = place(s, c);
  if (p.row >= p.end) return;
  const Normalisation n(a, p.channel);
  for (int row = p.row; row < p.end; row += batch * c.height) {
    Half8 rows[batch];
    load_rows(a.x, s.stored, c, p, row, rows);
    const int left = rows_left(c, p, row);
#pragma unroll
    for (int i = 0; i < batch; i++) {
      float values[vector_width];
      to_floats(rows[i], values);
#pragma unroll
      for (int j = 0; j < vector_width; j++) {
        values[j] = apply(function, (values[j] - n.mean[j]) * n.scale[j] + n.shift[j]);
        if (function == Function::sigmoid && p.channel + j >= s.channels) values[j] = 0;
      }
      if (i < left) store8(a.y + (row + i * c.height) * s.stored + p.channel, values);
    }
  }
}

/** Σ d and Σ d·(x − mean). */
template <Function function>
__global__ void gradient_sums_of_chunks(BatchNormShape s, Cut c, BatchNormBackwardArgs a) {
  const Place p = place(s, c);
  Part parts[vector_width] = {};
  if (p.row < p.end) {
    const Normalisation n(a, p.channel);
    for (int row = p.row; row < p.end; row += batch * c.height) {
      Half8 rows[batch], gradients[batch];
      load_rows(a.x, s.stored, c, p, row, rows);
      load_rows(a.dy, s.stored, c, p, row, gradients);
#pragma unroll
      for (int i = 0; i < batch; i++) {
        float x[vector_width], dy[vector_width];
        to_floats(rows[i], x);
        to_floats(gradients[i], dy);
#pragma unroll
        for (int j = 0; j < vector_width; j++) {
          const float centered = x[j] - n.mean[j], d = dy[j] * derivative(function, centered * n.scale[j] + n.shift[j]);
          parts[j].first += d;
          parts[j].second += d * centered;
        }
      }
    }
  }
  store_parts(s, c, p, parts, MergeSums{}, a.workspace);
}

__global__ void merge_gradient_sums(BatchNormShape s, Cut c, BatchNormBackwardArgs a) {
  const int channel = merged_channel();
  const Part part = merge_chunks(s, c, channel, MergeSums{}, a.workspace);
  if (threadIdx.x >= vector_width) return;
  a.dbeta[channel] = part.first;
  a.dgamma[channel] = part.second * reciprocal_deviation(a.variance[channel], a.epsilon);
}

template <Function function>
__global__ void gradient_rows(BatchNormShape s, Cut c, BatchNormBackwardArgs a) {
  const Place p = place(s, c);
  if (p.row >= p.end) return;
  const Normalisation n(a, p.channel);
  const float share = 1 / static_cast<float>(s.rows);
  float offset[vector_width], slope[vector_width], deviation[vector_width];  // dx = scale·(d − offset − (x − mean)·slope)
  load8(a.dbeta + p.channel, offset);
  load8(a.dgamma + p.channel, slope);
  load8(a.variance + p.channel, deviation);
#pragma unroll
  for (int j = 0; j < vector_width; j++) {
    offset[j] *= share;
    slope[j] *= share * reciprocal_deviation(deviation[j], a.epsilon);
  }
  for (int row = p.row; row < p.end; row += batch * c.height) {
    Half8 rows[batch], gradients[batch], sums[batch];
    load_rows(a.x, s.stored, c, p, row, rows);
    load_rows(a.dy, s.stored, c, p, row, gradients);
    if (a.accumulate) load_rows(a.dx, s.stored, c, p, row, sums);
    const int left = rows_left(c, p, row);
#pragma unroll
    for (int i = 0; i < batch; i++) {
      float x[vector_width], dy[vector_width], dx[vector_width] = {};
      to_floats(rows[i], x);
      to_floats(gradients[i], dy);
      if (a.accumulate) to_floats(sums[i], dx);
#pragma unroll
      for (int j = 0; j < vector_width; j++) {
        const float centered = x[j] - n.mean[j], d = dy[j] * derivative(function, centered * n.scale[j] + n.shift[j]);
        dx[j] += n.scale[j] * (d - offset[j] - centered * slope[j]);
      }
      if (i < left) store8(a.dx + (row + i * c.height) * s.stored + p.channel, dx);
    }
  }
}

/** Calls f with the function as a constant. */
template <class F>
void with_function(Function function, const F& f) {
  switch (function) {
    case Function::none: return f(std::integral_constant<Function, Function::none>());
    case Function::relu: return f(std::integral_constant<Function, Function::relu>());
    case Function::hswish: return f(std::integral_constant<Function, Function::hswish>());
    case Function::sigmoid: return f(std::integral_constant<Function, Function::sigmoid>());
  }
}

dim3 grid_of(const Cut& c) { return dim3(static_cast<unsigned>(c.chunks), static_cast<unsigned>(c.tiles)); }
dim3 merge_grid(const BatchNormShape& s) { return dim3(static_cast<unsigned>(s.stored / vector_width)); }

}  // namespace

void batch_norm_forward(const BatchNormShape& s, const BatchNormForwardArgs& a, cudaStream_t stream) {
  if (s.rows == 0 || s.stored == 0) return;
  const Cut c = cut(s);
  LAUNCH(moments_of_chunks, grid_of(c), threads, 0, stream, s, c, a.x, a.workspace);
  LAUNCH(merge_moments, merge_grid(s), merge_threads, 0, stream, s, c, a.workspace, a.mean, a.variance);
  with_function(a.function, [&](auto function) {
    const auto kernel = apply_rows<decltype(function)::value>;
    LAUNCH(kernel, grid_of(c), threads, 0, stream, s, c, a);
  });
}

void batch_norm_backward(const BatchNormShape& s, const BatchNormBackwardArgs& a, cudaStream_t stream) {
  if (s.rows == 0 || s.stored == 0) return;
  const Cut c = cut(s);
  with_function(a.function, [&](auto function) {
    const auto kernel = gradient_sums_of_chunks<decltype(function)::value>;
    LAUNCH(kernel, grid_of(c), threads, 0, stream, s, c, a);
  });
  LAUNCH(merge_gradient_sums, merge_grid(s), merge_threads, 0, stream, s, c, a);
  if (!a.dx) return;
  with_function(a.function, [&](auto function) {
    const auto kernel = gradient_rows<decltype(function)::value>;
    LAUNCH(kernel, grid_of(c), threads, 0, stream, s, c, a);
  });
}

size_t batch_norm_workspace(const BatchNormShape& s) {
  if (s.rows == 0 || s.stored == 0) return 0;
  return 2 * static_cast<size_t>(cut(s).chunks) * static_cast<size_t>(s.stored) * sizeof(float);
}

}  // namespace tvn::cuda
