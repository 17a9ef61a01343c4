#include "cuda/kernels/block.h"

#include "cuda/kernels/conv_gemm.h"

namespace tvn::cuda {
namespace {

using Rows64 = BlockGemm<64, 64, 2, 2>;
using Rows32 = BlockGemm<32, 64, 2, 2>;

struct Stage {
  ConvEpilogueArgs epilogue;  // bias, scale or gate, function; y.c: its channels
  const half* w;
};

struct BlockGemmArgs {
  BlockShape shape;
  ConvOperands product;  // of a dense spatial convolution
  Stage spatial, temporal, expand;
  ConvEpilogueArgs result;  // mean, and where to
  int places, tiles;        // of a block; blocks of a clip
  PositionDivisor divisor;  // of s
};

/** Rows of halves in shared memory, eight more than there are channels, so that neighbours lie in other banks; null: in y instead. */
struct Rows {
  half* first;
  int channels;
  __host__ __device__ int stride() const { return channels + 8; }
  __device__ __forceinline__ half* at(int row, int channel) const { return first + row * stride() + channel; }
};

/** The operands of a product whose left side lies in shared memory: taps over the frames of each place. */
template <class Gemm>
class SharedSource {
 public:
  static constexpr bool a_is_shared = true;

  /** Row (place, frame) reads frame · stride − pad + tap of its place. */
  __device__ __forceinline__ SharedSource(const Rows& rows, int places, int frames_in, int frames_out, int taps, int stride, int pad,
                                          const half* w, int columns, int first_column)
      : rows_(rows),
        places_(places),
        in_(frames_in),
        out_(frames_out),
        taps_(taps),
        stride_(stride),
        pad_(pad),
        w_(w),
        columns_(columns),
        first_column_(first_column) {}

  __device__ __forceinline__ void begin_step() {
    const int k = ++step_ * Gemm::depth + Gemm::a_vector() * vector_width;
    tap_ = k / rows_.channels;
    channel_ = k - tap_ * rows_.channels;
  }
  __device__ __forceinline__ const half* a(int i) const {
    const int row = Gemm::a_line_of(i), place = row / out_, frame = row % out_ * stride_ - pad_ + tap_;
    return place < places_ && tap_ < taps_ && frame >= 0 && frame < in_ ? rows_.at(place * in_ + frame, channel_) : nullptr;
  }
  __device__ __forceinline__ const half* b(int i) const {
    const int k = step_ * Gemm::depth + Gemm::b_line_of(i), column = first_column_ + Gemm::b_vector() * vector_width;
    return k < taps_ * rows_.channels && column < columns_ ? w_ + static_cast<long long>(k) * columns_ + column : nullptr;
  }
  __device__ __forceinline__ const half* any() const { return w_; }

 private:
  Rows rows_;
  int places_, in_, out_, taps_, stride_, pad_;
  const half* w_;
  int columns_, first_column_, step_ = -1, tap_ = 0, channel_ = 0;
};

/** Where the rows of a stage go: to shared memory, or to y. */
template <class Gemm>
class Sink {
 public:
  __device__ __forceinline__ Sink(const BlockGemmArgs& args, int clip, int tile) : args_(args), clip_(clip), tile_(tile) {}

  /** Finishes a tile of sums: `rows` rows of (place, frame). */
  __device__ __forceinline__ void finish_tile(const Stage& stage, const float* tile_scale, int rows, int frames, int first_column,
                                              float* sums, const Rows& to) const {
    float columns[8] = {};
    const int vector = thread_vector(), column = first_column + vector;
    if (column < stage.epilogue.y.c)
      for (int row = first_line(); row < rows; row += lines) {
        float y[8];
        load8(sums + row * Gemm::sum_stride + vector, y);
        finish(stage.epilogue, tile_scale ? tile_scale + vector : nullptr, clip_, 0, column, y);
        put(row, frames, column, y, to, columns);
      }
    finish_columns(to, columns, first_column, sums);
  }

  /** Eight channels of a row to where they belong; what is written to y is added to `columns`. */
  __device__ __forceinline__ void put(int row, int frames, int column, float (&y)[8], const Rows& to, float (&columns)[8]) const {
    if (to.first) {
      store8(to.at(row, column), y);
      return;
    }
    const Extents& e = args_.result.y;
    const int place = tile_ * args_.places + row / frames, frame = row % frames;
    write(args_.result, (static_cast<long long>(clip_ * frames + frame) * e.h * e.w + place) * e.c + column, y);
#pragma unroll
    for (int i = 0; i < 8; i++) columns[i] += y[i];
  }

  __device__ __forceinline__ void finish_columns(const Rows& to, const float (&columns)[8], int first_column, float* shared) const {
    if (to.first || !args_.result.mean) return;
    const float sum = add_columns<Gemm::threads, Gemm::columns>(columns, shared);
    finish_mean<Gemm::threads, Gemm::columns>(args_.result, clip_, tile_, first_column, sum, shared);
  }

  static constexpr int lines = Gemm::threads / (Gemm::columns / vector_width);
  static __device__ __forceinline__ int thread_vector() {
    return static_cast<int>(threadIdx.x) % (Gemm::columns / vector_width) * vector_width;
  }
  static __device__ __forceinline__ int first_line() { return static_cast<int>(threadIdx.x) / (Gemm::columns / vector_width); }

 private:
  const BlockGemmArgs& args_;
  int clip_, tile_;
};

/** One position of a depthwise convolution, eight channels of it. */
__device__ __forceinline__ void slide(const BlockGemmArgs& a, const Position& at, int column, float (&y)[8]) {
  const BlockShape& s = a.shape;
  const Window& k = s.spatial;
  for (int kh = 0; kh < k.kh; kh++)
    for (int kw = 0; kw < k.kw; kw++) {
      const int h = at.h * k.sh - k.ph + kh, w = at.w * k.sw - k.pw + kw;
      if (static_cast<unsigned>(h) >= static_cast<unsigned>(s.x.h) || static_cast<unsigned>(w) >= static_cast<unsigned>(s.x.w)) continue;
      float x[8], f[8];
      load8(a.product.x + static_cast<long long>(((at.n * s.x.t + at.t) * s.x.h + h) * s.x.w + w) * s.x.c + column, x);
      load8(a.spatial.w + (kh * k.kw + kw) * s.x.c + column, f);
#pragma unroll
      for (int i = 0; i < 8; i++) y[i] += x[i] * f[i];
    }
}

// resources: block_gemm threads=128 shared=48128
/** Grid: blocks of places × clips. */
template <class Gemm>
__global__ void __launch_bounds__(Gemm::threads, 2) block_gemm(const BlockGemmArgs a) {
  EXTERN_SHARED(half, shared);
  const BlockShape& s = a.shape;
  const int clip = static_cast<int>(blockIdx.x) / a.tiles, tile = static_cast<int>(blockIdx.x) % a.tiles, area = s.s.h * s.s.w;
  const int places = min(a.places, area - tile * a.places), frames = s.s.t;
  const Rows spatial{shared + Gemm::shared_bytes(true) / static_cast<int>(sizeof(half)), s.s.c};
  const Rows temporal{spatial.first + a.places * frames * spatial.stride(), s.channels};
  float* const floats = reinterpret_cast<float*>(shared);
  const Sink<Gemm> sink(a, clip, tile);
  const auto position = [&](int row) { return a.divisor.split((clip * frames + row % frames) * area + tile * a.places + row / frames); };
  const bool pools = s.temporal == TemporalKind::max || s.temporal == TemporalKind::avg, convolves = s.temporal == TemporalKind::conv;

  // the spatial convolution
  const Rows y{nullptr, 0}, after_spatial = s.temporal == TemporalKind::none && !s.expands ? y : spatial;
  for (int first_column = 0; first_column < s.s.c; first_column += Gemm::columns) {
    const float* tile_scale = nullptr;
    if (a.spatial.epilogue.gate.x) {
      float* const scale =
          reinterpret_cast<float*>(temporal.first + (s.temporal == TemporalKind::none ? 0 : a.places * s.frames * temporal.stride()));
      __syncthreads();
      excite<Gemm::threads, Gemm::columns>(a.spatial.epilogue.gate, s.s.c, clip, first_column, floats, scale);
      tile_scale = scale;
    }
    if (s.depthwise) {
      float columns[8] = {};
      const int vector = Sink<Gemm>::thread_vector(), column = first_column + vector;
      if (column < s.s.c)
        for (int row = Sink<Gemm>::first_line(); row < places * frames; row += Sink<Gemm>::lines) {
          float values[8] = {};
          slide(a, position(row), column, values);
          finish(a.spatial.epilogue, tile_scale ? tile_scale + vector : nullptr, clip, 0, column, values);
          sink.put(row, frames, column, values, after_spatial, columns);
        }
      sink.finish_columns(after_spatial, columns, first_column, floats);
      continue;
    }
    GatherRow rows[Gemm::a_vectors];
#pragma unroll
    for (int i = 0; i < Gemm::a_vectors; i++)
      if (Gemm::a_line_of(i) < places * frames) rows[i].set(a.product.gather, position(Gemm::a_line_of(i)));
    Gemm gemm(shared);
    ConvSource<Gemm, ConvPass::forward> source(a.product, rows, s.s.c, first_column, s.s.c, 0);
    gemm.run(source, a.product.steps);
    sink.finish_tile(a.spatial, tile_scale, places * frames, frames, first_column, gemm.store_sums(), after_spatial);
  }
  __syncthreads();

  // over time
  const Rows after_temporal = s.expands ? temporal : y;
  if (convolves)
    for (int first_column = 0; first_column < s.channels; first_column += Gemm::columns) {
      Gemm gemm(shared);
      SharedSource<Gemm> source(spatial, places, frames, s.frames, s.kernel, s.stride, s.pad, a.temporal.w, s.channels, first_column);
      gemm.run(source, ceil_div(s.kernel * s.s.c, Gemm::depth));
      sink.finish_tile(a.temporal, nullptr, places * s.frames, s.frames, first_column, gemm.store_sums(), after_temporal);
    }
  if (pools) {
    const ConvPooling pooling{s.temporal == TemporalKind::max ? Pooling::max : Pooling::avg, s.kernel, s.stride, s.pad, s.frames};
    for (int first_column = 0; first_column < s.channels; first_column += Gemm::columns) {
      float columns[8] = {};
      const int column = first_column + Sink<Gemm>::thread_vector();
      if (column < s.channels)
        for (int row = Sink<Gemm>::first_line(); row < places * s.frames; row += Sink<Gemm>::lines) {
          float values[8];
          pool_frames(pooling, spatial.at(row / s.frames * frames, column), spatial.stride(), frames, row % s.frames, values);
          sink.put(row, s.frames, column, values, after_temporal, columns);
        }
      sink.finish_columns(after_temporal, columns, first_column, floats);
    }
  }
  if (!s.expands) return;
  __syncthreads();

  // the pointwise convolution
  const Rows rows = s.temporal == TemporalKind::none ? spatial : temporal;
  for (int first_column = 0; first_column < s.y.c; first_column += Gemm::columns) {
    Gemm gemm(shared);
    SharedSource<Gemm> source(rows, places, s.frames, s.frames, 1, 1, 0, a.expand.w, s.y.c, first_column);
    gemm.run(source, ceil_div(rows.channels, Gemm::depth));
    sink.finish_tile(a.expand, nullptr, places * s.frames, s.frames, first_column, gemm.store_sums(), y);
  }
}

/** Less than half of what a V100's multiprocessor has. */
constexpr size_t most_shared = 47 * 1024;

template <class Gemm>
size_t shared_bytes(const BlockShape& s) {
  const int places = Gemm::rows / s.s.t;
  const int halves = places * s.s.t * (s.s.c + 8) + (s.temporal == TemporalKind::none ? 0 : places * s.frames * (s.channels + 8));
  return static_cast<size_t>(Gemm::shared_bytes(true)) + static_cast<size_t>(halves) * sizeof(half) + Gemm::columns * sizeof(float);
}

/** Rows of a block's tile, the more the better; 0: it fits in no way. */
int rows_of(const BlockShape& s) {
  if (s.s.t <= Rows64::rows && s.frames <= s.s.t && shared_bytes<Rows64>(s) <= most_shared) return Rows64::rows;
  if (s.s.t <= Rows32::rows && s.frames <= s.s.t && shared_bytes<Rows32>(s) <= most_shared) return Rows32::rows;
  return 0;
}

int tiles_of(const BlockShape& s) { return ceil_div(s.s.h * s.s.w, rows_of(s) / s.s.t); }

Stage stage_of(const BlockStage& stage, int channels) {
  Stage result{};
  result.w = stage.w;
  result.epilogue.y.c = channels;
  result.epilogue.bias = stage.bias;
  result.epilogue.function = stage.function;
  return result;
}

template <class Gemm>
void launch(const BlockShape& s, BlockGemmArgs& args, cudaStream_t stream) {
  args.places = Gemm::rows / s.s.t;
  const auto kernel = block_gemm<Gemm>;
  LAUNCH(kernel, static_cast<unsigned>(args.tiles * s.x.n), Gemm::threads, shared_bytes<Gemm>(s), stream, args);
}

}  // namespace

bool block_fits(const BlockShape& s) { return rows_of(s) > 0; }

bool block_pays(const BlockShape& s) {
  constexpr int busy = 40, few_steps = 24;
  const auto steps = [](int inner, int columns) { return ceil_div(inner, Rows64::depth) * ceil_div(columns, Rows64::columns); };
  int all = s.depthwise ? 0 : steps(s.spatial.kh * s.spatial.kw * s.x.c, s.s.c);
  if (s.temporal == TemporalKind::conv) all += steps(s.kernel * s.s.c, s.channels);
  if (s.expands) all += steps(s.channels, s.y.c);
  return tiles_of(s) * s.x.n >= busy || all <= few_steps;
}

ConvWorkspaceSize block_workspace(const BlockShape& s, bool mean) {
  if (!mean) return {};
  return {s.x.n * ceil_div(s.y.c, Rows64::columns), static_cast<size_t>(tiles_of(s) * s.x.n) * static_cast<size_t>(s.y.c) * sizeof(float)};
}

void block_forward(const BlockShape& s, const BlockArgs& a, cudaStream_t stream) {
  BlockGemmArgs args{};
  args.shape = s;
  const Window& k = s.spatial;
  args.product = {
      {forward_axis(1, 1, 0, s.x.t), forward_axis(k.kh, k.sh, k.ph, s.x.h), forward_axis(k.kw, k.sw, k.pw, s.x.w), s.x.c, k.kh, k.kw},
      a.x,
      a.spatial.w,
      ceil_div(k.kh * k.kw * s.x.c, Rows64::depth)};
  args.spatial = stage_of(a.spatial, s.s.c);
  args.spatial.epilogue.scale = a.scale;
  args.spatial.epilogue.gate = a.gate;
  args.temporal = stage_of(a.temporal, s.channels);
  args.expand = stage_of(a.expand, s.y.c);
  args.result.y = s.y;
  args.result.out = a.y;
  args.result.mean = a.mean;
  args.result.mean_parts = a.workspace.parts;
  args.result.mean_counters = a.workspace.counters;
  args.tiles = tiles_of(s);
  args.result.tiles = args.tiles;
  args.divisor = PositionDivisor(s.s.t, s.s.h, s.s.w);
  if (rows_of(s) == Rows64::rows)
    launch<Rows64>(s, args, stream);
  else
    launch<Rows32>(s, args, stream);
}

}  // namespace tvn::cuda
