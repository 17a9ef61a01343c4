// The implicit GEMM of conv.cu: what a launch is told, and the kernel.
#pragma once

#include "cuda/device/gather.h"
#include "cuda/kernels/conv_epilogue.h"

namespace tvn::cuda {

/** One operand pair of the GEMM: what is gathered, and the weights it meets. */
struct ConvOperands {
  Gather gather;
  const half* x;
  const half* w;
  int steps;  // of the inner dimension; 0: not there
};

struct ConvGemmArgs {
  ConvOperands first, second;     // second: a pointwise convolution that is added
  Window window;                  // of the data gradient, whose gather depends on the phase
  Extents rows;                   // the tensor that the GEMM makes; c: columns of the GEMM
  PositionDivisor divisor;        // of a position of `rows` (forward)
  Divisor frames;                 // of rows, where a tile holds all frames of its positions
  int weight_line;                // halves of a row of the weights
  int group_rows, tiles_a_group;  // no tile has rows of two groups: clips or the batch
  int tile_rows;                  // of a tile, which may have room for more
  SplitSums splits;
  ConvEpilogueArgs epilogue;
};

enum class ConvPass { forward, data_gradient };

/** Whether tiles of this size may be kept to one clip, for its gate, its mean or the frames of its places: see takes_block. */
template <class Gemm>
constexpr bool stays_in_clip = Gemm::rows == 64;

/** Brings the vectors of A (gathered) and B (weights) of the steps from `begin` on. */
template <class Gemm, ConvPass Pass>
class ConvSource {
 public:
  static constexpr bool a_is_shared = false;

  __device__ __forceinline__ ConvSource(const ConvOperands& operands, const GatherRow (&rows)[Gemm::a_vectors], int columns,
                                        int first_column, int weight_line, int begin)
      : operands_(operands), rows_(rows), columns_(columns), first_column_(first_column), line_(weight_line), step_(begin - 1) {
    walk_.begin(operands.gather, begin * (Gemm::depth / vector_width) + Gemm::a_vector());
  }

  __device__ __forceinline__ void begin_step() {
    if (started_) walk_.advance(operands_.gather, Gemm::depth / vector_width);
    started_ = true;
    step_++;
  }
  __device__ __forceinline__ const half* a(int i) const {
    const long long element = rows_[i].element(operands_.gather, walk_);
    return element < 0 ? nullptr : operands_.x + element;
  }
  __device__ __forceinline__ const half* b(int i) const {
    if (Pass == ConvPass::forward) {
      const Gather& g = operands_.gather;
      const int k = step_ * Gemm::depth + Gemm::b_line_of(i), column = first_column_ + Gemm::b_vector() * vector_width;
      const bool inside = k < g.t.taps * g.h.taps * g.w.taps * g.channels && column < columns_;
      return inside ? operands_.w + static_cast<long long>(k) * line_ + column : nullptr;
    }
    const int column = first_column_ + Gemm::b_line_of(i);  // an input channel: a row of the tap's weights
    if (!walk_.in(operands_.gather) || column >= columns_) return nullptr;
    return operands_.w + (static_cast<long long>(walk_.weight(operands_.gather)) * columns_ + column) * line_ + walk_.channel;
  }
  /** An address that may be read. */
  __device__ __forceinline__ const half* any() const { return operands_.w; }

 private:
  const ConvOperands& operands_;
  const GatherRow (&rows_)[Gemm::a_vectors];
  int columns_, first_column_, line_, step_;
  bool started_ = false;
  TapWalk walk_;
};

/** The rows of a group: which position of the tensor each of them is. */
template <ConvPass Pass>
class ConvRows {
 public:
  __device__ __forceinline__ ConvRows(const ConvGemmArgs& args, int phase, int group) : args_(args), first_(group * args.group_rows) {
    count_ = args.group_rows;
    if (Pass == ConvPass::forward) return;
    const Window& k = args.window;
    phase_w_ = phase % k.sw;
    phase_h_ = phase / k.sw % k.sh;
    phase_t_ = phase / k.sw / k.sh;
    h_ = phase_extent(args.rows.h, phase_h_, k.sh);
    w_ = phase_extent(args.rows.w, phase_w_, k.sw);
    t_ = phase_extent(args.rows.t, phase_t_, k.st);
    count_ = args.rows.n * t_ * h_ * w_;
  }
  __device__ __forceinline__ int count() const { return count_; }
  __device__ __forceinline__ int phase_t() const { return phase_t_; }
  __device__ __forceinline__ int phase_h() const { return phase_h_; }
  __device__ __forceinline__ int phase_w() const { return phase_w_; }

  /** The position in the tensor, or in the phase of it. */
  __device__ __forceinline__ Position split(int row) const {
    if (Pass == ConvPass::forward) return args_.divisor.split(position(row));
    return {row / w_ / h_ / t_, row / w_ / h_ % t_, row / w_ % h_, row % w_};
  }
  __device__ __forceinline__ int position(int row) const {
    if (Pass == ConvPass::forward) {
      if (!args_.epilogue.pooling.is_there()) return first_ + row;
      const int place = args_.frames.quotient(row), frame = args_.frames.remainder(row, place);  // the frames of a place are neighbours
      return first_ + frame * args_.rows.h * args_.rows.w + place;
    }
    const Position at = split(row);
    const Window& k = args_.window;
    return ((at.n * args_.rows.t + at.t * k.st + phase_t_) * args_.rows.h + at.h * k.sh + phase_h_) * args_.rows.w + at.w * k.sw + phase_w_;
  }

 private:
  const ConvGemmArgs& args_;
  int first_, count_ = 0, phase_t_ = 0, phase_h_ = 0, phase_w_ = 0, t_ = 1, h_ = 1, w_ = 1;
};

/** Multiplies a tile of f32 rows by the scale of their clips. */
template <class Gemm>
__device__ __forceinline__ void scale_tile(const ConvGemmArgs& args, const float* tile_scale, int group, int first_row, int rows,
                                           int first_column, float* tile) {
  for (int i = static_cast<int>(threadIdx.x); i < Gemm::rows * Gemm::columns; i += Gemm::threads) {
    const int line = i / Gemm::columns, column = i % Gemm::columns;
    if (line >= rows || first_column + column >= args.rows.c) continue;
    const int clip = (group * args.group_rows + first_row + line) / args.rows.positions();
    tile[line * Gemm::sum_stride + column] *=
        tile_scale ? tile_scale[column] : args.epilogue.scale[clip * args.rows.c + first_column + column];
  }
}

/** Finishes and writes the rows of a tile; adds what was written to this thread's slices of eight columns. */
template <class Gemm, ConvPass Pass>
__device__ __forceinline__ void write_rows(const ConvGemmArgs& args, const ConvRows<Pass>& rows, const float* tile_scale, int first_row,
                                           int count, int first_column, float* tile,
                                           float (&sums)[slices_a_thread<Gemm::threads, Gemm::columns>][8]) {
  const ConvEpilogueArgs& e = args.epilogue;
  constexpr int vectors = Gemm::columns / vector_width;
  const int vector = static_cast<int>(threadIdx.x) % vectors * vector_width, column = first_column + vector;
  const bool pooled = stays_in_clip<Gemm> && e.pooling.is_there();
  if (tile_scale) tile_scale += vector;
  const auto add = [&](int slice, const float(&y)[8]) {
#pragma unroll
    for (int i = 0; i < 8; i++) sums[slice][i] += y[i];
  };
  if (column < args.rows.c)
    for_slices<Gemm::threads, Gemm::columns>(count, [&](int slice, int line) {
      float y[8];
      float* const values = tile + line * Gemm::sum_stride + vector;
      load8(values, y);
      const int position = rows.position(first_row + line);
      const long long element = static_cast<long long>(position) * args.rows.c + column;
      finish(e, tile_scale, position / args.rows.positions(), element, column, y);
      if (pooled) {
        to_floats(to_halves(y), y);
        store8(values, y);
      } else {
        write(e, element, y);
        add(slice, y);
      }
    });
  if (!pooled) return;
  __syncthreads();
  if (column >= args.rows.c) return;
  const int frames = args.rows.t, area = args.rows.h * args.rows.w, places = count / frames, results = e.pooling.frames;
  const int clip = rows.position(first_row) / args.rows.positions(), first_place = first_row / frames;
  for_slices<Gemm::threads, Gemm::columns>(places * results, [&](int slice, int line) {
    const int place = line / results, frame = line % results;
    float y[8];
    pool_frames(e.pooling, tile + place * frames * Gemm::sum_stride + vector, Gemm::sum_stride, frames, frame, y);
    write(e, static_cast<long long>((clip * results + frame) * area + first_place + place) * args.rows.c + column, y);
    add(slice, y);
  });
}

/**
 * y = f(scale · (gathered x · w + bias) + residual), see conv.h. Grid: tiles of rows, tiles of columns, phases × splits.
 * Every block has one tile; its inner dimension is that of both operand pairs, one after the other.
 */
template <class Gemm, ConvPass Pass>
__global__ void __launch_bounds__(Gemm::threads, 2) conv_gemm(const ConvGemmArgs args) {
  EXTERN_SHARED(half, shared);
  const int splits = args.splits.splits, split = static_cast<int>(blockIdx.z) % splits, phase = static_cast<int>(blockIdx.z) / splits;
  const int group = static_cast<int>(blockIdx.x) / args.tiles_a_group, tile = static_cast<int>(blockIdx.x) % args.tiles_a_group;
  const ConvRows<Pass> rows(args, phase, group);
  const int first_row = tile * args.tile_rows, first_column = static_cast<int>(blockIdx.y) * Gemm::columns;
  if (first_row >= rows.count()) return;  // phases differ in size
  const int count = min(args.tile_rows, rows.count() - first_row);

  // the forward pass reads what is common to all blocks from where it lies; a phase of the data gradient has axes of its own
  ConvOperands of_phase;
  if (Pass == ConvPass::data_gradient) {
    const Window& k = args.window;
    of_phase = args.first;
    Gather& g = of_phase.gather;
    g.t = gradient_axis(rows.phase_t(), k.kt, k.st, k.pt, g.t.extent);
    g.h = gradient_axis(rows.phase_h(), k.kh, k.sh, k.ph, g.h.extent);
    g.w = gradient_axis(rows.phase_w(), k.kw, k.sw, k.pw, g.w.extent);
    of_phase.steps = ceil_div(g.t.taps * g.h.taps * g.w.taps * g.channels, Gemm::depth);
  }
  const ConvOperands& first = Pass == ConvPass::forward ? args.first : of_phase;
  const int steps = first.steps + args.second.steps;
  const int begin = static_cast<int>(static_cast<long long>(steps) * split / splits);
  const int end = static_cast<int>(static_cast<long long>(steps) * (split + 1) / splits);

  const auto gather_rows = [&](const Gather& g, GatherRow(&at)[Gemm::a_vectors]) {
#pragma unroll
    for (int i = 0; i < Gemm::a_vectors; i++) {
      const int line = Gemm::a_line_of(i);
      at[i] = {};
      if (line < count) at[i].set(g, rows.split(first_row + line));
    }
  };
  const float* tile_scale = nullptr;
  if (stays_in_clip<Gemm> && args.epilogue.gate.x) {
    float* const scale = reinterpret_cast<float*>(shared + Gemm::shared_bytes(true) / static_cast<int>(sizeof(half)));
    excite<Gemm::threads, Gemm::columns>(args.epilogue.gate, args.rows.c, group, first_column, reinterpret_cast<float*>(shared), scale);
    tile_scale = scale;
  }
  GatherRow at[Gemm::a_vectors];
  Gemm gemm(shared);
  if (begin < first.steps) {
    gather_rows(first.gather, at);
    ConvSource<Gemm, Pass> source(first, at, args.rows.c, first_column, args.weight_line, begin);
    gemm.run(source, min(end, first.steps) - begin);
  }
  if (Pass == ConvPass::forward && args.second.steps > 0) {
    if (begin < first.steps && args.epilogue.scaled) {  // the scale belongs to the first product alone
      float* const sums = gemm.store_sums();
      scale_tile<Gemm>(args, tile_scale, group, first_row, count, first_column, sums);
      gemm.load_sums();
    }
    if (end > first.steps) {
      gather_rows(args.second.gather, at);
      const int from = max(begin - first.steps, 0);
      ConvSource<Gemm, Pass> source(args.second, at, args.rows.c, first_column, args.weight_line, from);
      gemm.run(source, end - first.steps - from);
    }
  }

  float* const sums = gemm.store_sums();
  const int result =
      (phase * static_cast<int>(gridDim.y) + static_cast<int>(blockIdx.y)) * static_cast<int>(gridDim.x) + static_cast<int>(blockIdx.x);
  if (!args.splits.template combine<Gemm::rows, Gemm::columns, Gemm::threads>(sums, Gemm::sum_stride, result, split)) return;

  float columns[slices_a_thread<Gemm::threads, Gemm::columns>][8] = {};
  write_rows<Gemm, Pass>(args, rows, tile_scale, first_row, count, first_column, sums, columns);
  if (!stays_in_clip<Gemm> || !args.epilogue.mean) return;
  const float sum = add_columns<Gemm::threads, Gemm::columns>(columns, sums);
  finish_mean<Gemm::threads, Gemm::columns>(args.epilogue, group, tile, first_column, sum, sums);
}

}  // namespace tvn::cuda
