#include "cuda/kernels/conv_gemm.h"

namespace tvn::cuda {
namespace {

using Rows128 = BlockGemm<128, 64, 4, 2>;
using Rows64 = BlockGemm<64, 64, 2, 2>;
using Rows32 = BlockGemm<32, 64, 2, 2>;
using Columns32 = BlockGemm<64, 32, 2, 2>;
template <class Gemm>
using Transposed = BlockGemm<Gemm::rows, Gemm::columns, Gemm::rows / (Gemm::rows == 128 ? 32 : Gemm::rows / 2), 2, ALayout::rows_of_depth,
                             BLayout::columns_of_depth>;

constexpr int depth = Rows64::depth;

/** Sums need about so many steps to be worth the way through memory. */
constexpr int least_steps = 8;
/** Blocks that keep a large GPU busy. A constant, so that results do not depend on the device. */
constexpr int enough_blocks = 160;

/** Parts of the inner dimension for so many tiles of 64 × 64. */
int splits_for(int tiles, int steps) {
  if (tiles >= enough_blocks / 2 || steps < 2 * least_steps) return 1;
  const int wanted = ceil_div(enough_blocks, tiles), possible = steps / least_steps;
  return wanted < possible ? wanted : possible;
}

int steps_of(int taps, int channels) { return ceil_div(taps * channels, depth); }

/** The GEMM of a data gradient is that of the phase with the most taps, times the phases. */
int gradient_steps(const ConvShape& s) {
  const Window& k = s.window;
  return steps_of(ceil_div(k.kt, k.st) * ceil_div(k.kh, k.sh) * ceil_div(k.kw, k.sw), s.y.c);
}
int phases(const Window& k) { return k.st * k.sh * k.sw; }
/** Rows of the largest phase. */
int phase_rows(const ConvShape& s) {
  const Window& k = s.window;
  return s.x.n * ceil_div(s.x.t, k.st) * ceil_div(s.x.h, k.sh) * ceil_div(s.x.w, k.sw);
}

// resources: conv_gemm<BlockGemm<128, 64, 4, 2, (ALayout)0, (BLayout)0>* threads=256 shared=44800
// resources: conv_gemm<BlockGemm<64, 64, 2, 2, (ALayout)0, (BLayout)0>* threads=128 shared=29440
// resources: conv_gemm<BlockGemm<32, 64, 2, 2, (ALayout)0, (BLayout)0>* threads=128 shared=21760
// resources: conv_gemm<BlockGemm<64, 32, 2, 2, (ALayout)0, (BLayout)0>* threads=128 shared=23168
// resources: conv_gemm<BlockGemm<128, 64, 4, 2, (ALayout)0, (BLayout)1>* threads=256 shared=46080
// resources: conv_gemm<BlockGemm<64, 64, 2, 2, (ALayout)0, (BLayout)1>* threads=128 shared=30720
// resources: conv_gemm<BlockGemm<32, 64, 2, 2, (ALayout)0, (BLayout)1>* threads=128 shared=23040
// resources: conv_gemm<BlockGemm<64, 32, 2, 2, (ALayout)0, (BLayout)1>* threads=128 shared=23040
template <class Gemm, ConvPass Pass>
void launch(ConvGemmArgs& args, int groups, int phase_count, cudaStream_t stream) {
  const int frames = args.epilogue.pooling.is_there() ? args.rows.t : 1;
  args.tile_rows = Gemm::rows / frames * frames;
  args.tiles_a_group = ceil_div(args.group_rows, args.tile_rows);
  args.epilogue.tiles = args.tiles_a_group;
  const dim3 grid(static_cast<unsigned>(args.tiles_a_group * groups), static_cast<unsigned>(ceil_div(args.rows.c, Gemm::columns)),
                  static_cast<unsigned>(phase_count * args.splits.splits));
  const size_t gate = args.epilogue.gate.x ? Gemm::columns * sizeof(float) : 0;
  const auto kernel = conv_gemm<Gemm, Pass>;
  LAUNCH(kernel, grid, Gemm::threads, static_cast<size_t>(Gemm::shared_bytes(true)) + gate, stream, args);
}

template <ConvPass Pass>
void launch(ConvBlock block, ConvGemmArgs& args, int groups, int phase_count, cudaStream_t stream) {
  constexpr bool forward = Pass == ConvPass::forward;
  switch (block) {
    case ConvBlock::rows128_columns64:
      return launch<std::conditional_t<forward, Rows128, Transposed<Rows128>>, Pass>(args, groups, phase_count, stream);
    case ConvBlock::rows64_columns64:
      return launch<std::conditional_t<forward, Rows64, Transposed<Rows64>>, Pass>(args, groups, phase_count, stream);
    case ConvBlock::rows32_columns64:
      return launch<std::conditional_t<forward, Rows32, Transposed<Rows32>>, Pass>(args, groups, phase_count, stream);
    case ConvBlock::rows64_columns32:
      return launch<std::conditional_t<forward, Columns32, Transposed<Columns32>>, Pass>(args, groups, phase_count, stream);
  }
}

Gather forward_gather(const Extents& x, const Window& k) {
  return {forward_axis(k.kt, k.st, k.pt, x.t), forward_axis(k.kh, k.sh, k.ph, x.h), forward_axis(k.kw, k.sw, k.pw, x.w), x.c, k.kh, k.kw};
}

/** No tile may have rows of two clips. */
bool by_clip(const ConvUse& use) { return use.mean || use.gate || use.pooled_frames > 0; }

/** Tiles of 64 rows, as far as the shape says: groups × tiles of a group. */
int row_tiles(const ConvShape& s, const ConvUse& use) {
  if (!by_clip(use)) return ceil_div(s.y.rows(), 64);
  const int frames = use.pooled_frames > 0 ? s.y.t : 1;
  return s.y.n * ceil_div(s.y.positions(), 64 / frames * frames);
}

int forward_splits(const ConvShape& s, const ConvUse& use) {
  const int steps = steps_of(taps(s.window), s.x.c) + (use.shortcut ? steps_of(1, use.shortcut_channels) : 0);
  return splits_for(row_tiles(s, use) * ceil_div(s.y.c, 64), steps);
}

int gradient_tiles(const ConvShape& s) { return ceil_div(phase_rows(s), 64) * ceil_div(s.x.c, 64) * phases(s.window); }

/** Counters of a GEMM whose inner dimension is split: of its tiles, which the smallest blocks make twice as many. */
int split_counters(int splits) { return splits > 1 ? enough_blocks : 0; }
/** Parts of whole tiles of the largest block. */
size_t split_parts(int tiles, int splits) {
  return splits > 1 ? static_cast<size_t>(tiles) * static_cast<size_t>(splits) * 128 * 64 * sizeof(float) : 0;
}

}  // namespace

bool takes_block(ConvBlock block, const ConvUse& use) {
  return !by_clip(use) || block == ConvBlock::rows64_columns64 || block == ConvBlock::rows64_columns32;
}

ConvBlock usual_block(int rows, int columns) {
  if (round_up(columns, 32) < round_up(columns, 64) && columns <= 96) return ConvBlock::rows64_columns32;
  if (ceil_div(rows, 128) * ceil_div(columns, 64) >= 2 * enough_blocks) return ConvBlock::rows128_columns64;
  return ConvBlock::rows64_columns64;
}

ConvWorkspaceSize conv_forward_workspace(const ConvShape& s, const ConvUse& use) {
  const int splits = forward_splits(s, use), tiles = row_tiles(s, use);
  ConvWorkspaceSize size{split_counters(splits), split_parts(tiles * ceil_div(s.y.c, 64), splits)};
  if (use.mean) {
    size.counters += s.y.n * ceil_div(s.y.c, 32);
    size.parts += static_cast<size_t>(tiles) * static_cast<size_t>(s.y.c) * sizeof(float);
  }
  return size;
}

ConvWorkspaceSize conv_data_gradient_workspace(const ConvShape& s) {
  const int tiles = gradient_tiles(s), splits = splits_for(tiles, gradient_steps(s));
  return {split_counters(splits), split_parts(tiles, splits)};
}

void conv_forward(const ConvShape& s, ConvBlock block, const ConvForwardArgs& a, cudaStream_t stream) {
  const ConvUse use{a.shortcut.x != nullptr, a.mean != nullptr, a.gate.x != nullptr, a.shortcut.extents.c, a.pooling.frames};
  const int splits = forward_splits(s, use);
  ConvGemmArgs args{};
  args.first = {forward_gather(s.x, s.window), a.x, a.w, steps_of(taps(s.window), s.x.c)};
  if (use.shortcut) {
    Window stride;
    stride.st = a.shortcut.stride[0], stride.sh = a.shortcut.stride[1], stride.sw = a.shortcut.stride[2];
    args.second = {forward_gather(a.shortcut.extents, stride), a.shortcut.x, a.shortcut.w, steps_of(1, a.shortcut.extents.c)};
  }
  args.rows = s.y;
  args.divisor = PositionDivisor(s.y.t, s.y.h, s.y.w);
  args.frames = Divisor(s.y.t);
  args.weight_line = s.y.c;
  args.group_rows = by_clip(use) ? s.y.positions() : s.y.rows();
  args.splits = {a.workspace.counters, a.workspace.parts, splits};
  ConvEpilogueArgs& e = args.epilogue;
  e.y = s.y;
  e.bias = a.bias;
  e.scale = a.scale;
  e.gate = a.gate;
  e.bias2 = a.shortcut.bias;
  e.scaled = use.shortcut && (a.scale || use.gate);
  e.residual = a.residual;
  e.function = a.function;
  e.out = a.y;
  e.out32 = a.y32;
  e.pooling = a.pooling;
  e.mean = a.mean;
  e.mean_counters = a.workspace.counters + split_counters(splits);
  e.mean_parts = a.workspace.parts + split_parts(row_tiles(s, use) * ceil_div(s.y.c, 64), splits) / sizeof(float);
  launch<ConvPass::forward>(block, args, by_clip(use) ? s.y.n : 1, 1, stream);
}

void conv_data_gradient(const ConvShape& s, ConvBlock block, const ConvDataGradientArgs& a, cudaStream_t stream) {
  ConvGemmArgs args{};
  args.first.gather = forward_gather(s.y, s.window);  // channels and extents; each phase makes its own axes
  args.first.x = a.dy;
  args.first.w = a.w;
  args.window = s.window;
  args.rows = s.x;
  args.weight_line = s.y.c;
  args.group_rows = phase_rows(s);
  args.splits = {a.workspace.counters, a.workspace.parts, splits_for(gradient_tiles(s), gradient_steps(s))};
  args.epilogue.y = s.x;
  args.epilogue.residual = a.accumulate ? a.dx : nullptr;
  args.epilogue.out = a.dx;
  launch<ConvPass::data_gradient>(block, args, 1, phases(s.window), stream);
}

}  // namespace tvn::cuda
