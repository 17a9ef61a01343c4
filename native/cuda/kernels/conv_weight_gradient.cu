#include "cuda/device/block_gemm.h"
#include "cuda/device/gather.h"
#include "cuda/kernels/conv.h"

namespace tvn::cuda {
namespace {

// Rows of the GEMM are rows of the weights (tap and input channel), columns output channels; its inner dimension runs over positions of y.
using Gemm = BlockGemm<64, 64, 2, 2, ALayout::depth_of_rows, BLayout::depth_of_columns>;

struct WeightGradientArgs {
  Gather gather;
  const half* x;
  const half* dy;
  float* dw;  // of a split: [rows][columns]
  int rows, columns, positions, steps, splits;
  PositionDivisor divisor;
};

class WeightGradientSource {
 public:
  static constexpr bool a_is_shared = false;

  __device__ __forceinline__ WeightGradientSource(const WeightGradientArgs& args, int first_row, int first_column, int begin)
      : args_(args),
        row_(first_row + Gemm::a_vector() * vector_width),
        column_(first_column + Gemm::b_vector() * vector_width),
        step_(begin - 1) {
    tap_.begin(args.gather, row_ / vector_width);
  }

  __device__ __forceinline__ void begin_step() { step_++; }
  __device__ __forceinline__ const half* a(int i) const {
    const int position = step_ * Gemm::depth + Gemm::a_line_of(i);
    if (position >= args_.positions || row_ >= args_.rows) return nullptr;
    GatherRow row;
    row.set(args_.gather, args_.divisor.split(position));
    const long long element = row.element(args_.gather, tap_);
    return element < 0 ? nullptr : args_.x + element;
  }
  __device__ __forceinline__ const half* b(int i) const {
    const int position = step_ * Gemm::depth + Gemm::b_line_of(i);
    if (position >= args_.positions || column_ >= args_.columns) return nullptr;
    return args_.dy + static_cast<long long>(position) * args_.columns + column_;
  }
  __device__ __forceinline__ const half* any() const { return args_.dy; }

 private:
  const WeightGradientArgs& args_;
  int row_, column_, step_;
  TapWalk tap_;
};

// resources: conv_weight_gradient_gemm threads=128 shared=27648
/** dw of a range of positions. Grid: tiles of rows, tiles of columns, splits. */
__global__ void __launch_bounds__(Gemm::threads, 2) conv_weight_gradient_gemm(const WeightGradientArgs args) {
  EXTERN_SHARED(half, shared);
  const int first_row = static_cast<int>(blockIdx.x) * Gemm::rows, first_column = static_cast<int>(blockIdx.y) * Gemm::columns;
  const int split = static_cast<int>(blockIdx.z);
  const int begin = static_cast<int>(static_cast<long long>(args.steps) * split / args.splits);
  const int end = static_cast<int>(static_cast<long long>(args.steps) * (split + 1) / args.splits);
  Gemm gemm(shared);
  WeightGradientSource source(args, first_row, first_column, begin);
  gemm.run(source, end - begin);
  const float* const sums = gemm.store_sums();
  float* const dw = args.dw + static_cast<long long>(split) * args.rows * args.columns;
  constexpr int vectors = Gemm::columns / vector_width;
  for (int v = static_cast<int>(threadIdx.x); v < Gemm::rows * vectors; v += Gemm::threads) {
    const int row = first_row + v / vectors, column = first_column + v % vectors * vector_width;
    if (row >= args.rows || column >= args.columns) continue;
    float values[8];
    load8(sums + v / vectors * Gemm::sum_stride + v % vectors * vector_width, values);
    store8(dw + static_cast<long long>(row) * args.columns + column, values);
  }
}

/** Adds the parts in their order. */
__global__ void add_parts(const float* parts, int splits, long long size, float* sum) {
  for (long long i = (static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x) * 4; i < size;
       i += static_cast<long long>(gridDim.x) * blockDim.x * 4) {
    float4 total = *reinterpret_cast<const float4*>(parts + i);
    for (int s = 1; s < splits; s++) {
      const float4 part = *reinterpret_cast<const float4*>(parts + s * size + i);
      total.x += part.x, total.y += part.y, total.z += part.z, total.w += part.w;
    }
    *reinterpret_cast<float4*>(sum + i) = total;
  }
}

int rows_of(const ConvShape& s) { return taps(s.window) * s.x.c; }

/** Parts of the positions: a function of the shape alone. */
int splits_of(const ConvShape& s) {
  constexpr int enough_blocks = 160, least_steps = 16;
  const int tiles = ceil_div(rows_of(s), Gemm::rows) * ceil_div(s.y.c, Gemm::columns), steps = ceil_div(s.y.rows(), Gemm::depth);
  const int wanted = ceil_div(enough_blocks, tiles), possible = steps / least_steps;
  return possible < 1 ? 1 : wanted < possible ? wanted : possible;
}

}  // namespace

size_t conv_weight_gradient_workspace(const ConvShape& s) {
  const int splits = splits_of(s);
  return splits == 1 ? 0 : static_cast<size_t>(splits) * static_cast<size_t>(rows_of(s)) * static_cast<size_t>(s.y.c) * sizeof(float);
}

void conv_weight_gradient(const ConvShape& s, const ConvWeightGradientArgs& a, cudaStream_t stream) {
  const Window& k = s.window;
  const int splits = splits_of(s), rows = rows_of(s);
  WeightGradientArgs args{};
  args.gather = {forward_axis(k.kt, k.st, k.pt, s.x.t),
                 forward_axis(k.kh, k.sh, k.ph, s.x.h),
                 forward_axis(k.kw, k.sw, k.pw, s.x.w),
                 s.x.c,
                 k.kh,
                 k.kw};
  args.x = a.x;
  args.dy = a.dy;
  args.dw = splits == 1 ? a.dw : a.workspace;
  args.rows = rows;
  args.columns = s.y.c;
  args.positions = s.y.rows();
  args.steps = ceil_div(args.positions, Gemm::depth);
  args.splits = splits;
  args.divisor = PositionDivisor(s.y.t, s.y.h, s.y.w);
  LAUNCH(conv_weight_gradient_gemm,
         dim3(static_cast<unsigned>(ceil_div(rows, Gemm::rows)), static_cast<unsigned>(ceil_div(s.y.c, Gemm::columns)),
              static_cast<unsigned>(splits)),
         Gemm::threads, static_cast<size_t>(Gemm::shared_bytes(true)), stream, args);
  if (splits == 1) return;
  const long long size = static_cast<long long>(rows) * s.y.c;
  const long long blocks = (size / 4 + 255) / 256;
  LAUNCH(add_parts, static_cast<unsigned>(blocks < 4096 ? blocks : 4096), 256, 0, stream, args.dw, splits, size, a.dw);
}

}  // namespace tvn::cuda
