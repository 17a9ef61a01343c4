// The three forms of a warp's tile against plain sums, in every layout.
#include "cuda/device/warp_tile.h"

#include "cuda/test/test.h"

namespace tvn::cuda {
namespace {

using test::DeviceArray;
using test::integers;
using test::Random;

constexpr int depth = 32, sum_stride = 36;

/** d = c + a·b by one warp, all in shared memory. */
template <class Tile>
__global__ void multiply_by(const half* a, int a_halves, int a_stride, int a_step, const half* b, int b_halves, int b_stride, int b_step,
                            const float* c, float* d, int sums) {
  EXTERN_SHARED(half, sa);
  half* const sb = sa + a_halves;
  float* const ss = reinterpret_cast<float*>(sb + b_halves);
  for (int i = static_cast<int>(threadIdx.x); i < a_halves; i += warp_size) sa[i] = a[i];
  for (int i = static_cast<int>(threadIdx.x); i < b_halves; i += warp_size) sb[i] = b[i];
  for (int i = static_cast<int>(threadIdx.x); i < sums; i += warp_size) ss[i] = c[i];
  __syncthreads();
  Tile tile;
  tile.clear();
  tile.load(ss, sum_stride);
  for (int k = 0; k < depth; k += 16) tile.multiply(sa + k * a_step, a_stride, sb + k * b_step, b_stride);
  __syncthreads();
  tile.store(ss, sum_stride);
  __syncthreads();
  for (int i = static_cast<int>(threadIdx.x); i < sums; i += warp_size) d[i] = ss[i];
}

template <template <int, int, ALayout, BLayout> class Tile, int M, int N, ALayout A, BLayout B>
void expect_products() {
  Random random;
  const bool a_rows = A == ALayout::rows_of_depth, b_columns = B == BLayout::columns_of_depth;
  for (const int padding : {8, 24}) {
    const int a_stride = (a_rows ? depth : M) + padding, b_stride = (b_columns ? depth : N) + padding;
    const int a_halves = (a_rows ? M : depth) * a_stride, b_halves = (b_columns ? N : depth) * b_stride, sums = M * sum_stride;
    const auto a = integers(random, a_halves), b = integers(random, b_halves);
    std::vector<float> c(static_cast<size_t>(sums));
    for (float& value : c) value = static_cast<float>(random.integer(-100, 100));
    DeviceArray<half> a_device(a), b_device(b);
    DeviceArray<float> c_device(c);
    DeviceArray<float> d_device(c.size());
    const auto kernel = multiply_by<Tile<M, N, A, B>>;
    const size_t bytes = static_cast<size_t>(a_halves + b_halves) * sizeof(half) + static_cast<size_t>(sums) * sizeof(float);
    LAUNCH(kernel, 1, warp_size, bytes, nullptr, a_device.data(), a_halves, a_stride, a_rows ? 1 : a_stride, b_device.data(), b_halves,
           b_stride, b_columns ? 1 : b_stride, c_device.data(), d_device.data(), sums);
    const auto d = d_device.read();
    for (int row = 0; row < M; row++)
      for (int column = 0; column < N; column++) {
        const auto at = static_cast<size_t>(row * sum_stride + column);
        float want = c[at];
        for (int k = 0; k < depth; k++)
          want += __half2float(a[static_cast<size_t>(a_rows ? row * a_stride + k : k * a_stride + row)]) *
                  __half2float(b[static_cast<size_t>(b_columns ? column * b_stride + k : k * b_stride + column)]);
        EXPECT(d[at] == want);
      }
  }
}

template <template <int, int, ALayout, BLayout> class Tile, int M, int N>
void expect_products_in_all_layouts() {
  expect_products<Tile, M, N, ALayout::rows_of_depth, BLayout::columns_of_depth>();
  expect_products<Tile, M, N, ALayout::rows_of_depth, BLayout::depth_of_columns>();
  expect_products<Tile, M, N, ALayout::depth_of_rows, BLayout::columns_of_depth>();
  expect_products<Tile, M, N, ALayout::depth_of_rows, BLayout::depth_of_columns>();
}

template <template <int, int, ALayout, BLayout> class Tile>
void expect_products_of_all_sizes() {
  expect_products_in_all_layouts<Tile, 16, 16>();
  expect_products_in_all_layouts<Tile, 32, 16>();
  expect_products_in_all_layouts<Tile, 16, 32>();
  expect_products_in_all_layouts<Tile, 32, 32>();
}

CUDA_TEST(warp_tiles_of_wmma_multiply) { expect_products_of_all_sizes<WmmaTile>(); }

CUDA_TEST(warp_tiles_of_quad_pairs_multiply) { expect_products_of_all_sizes<QuadPairTile>(); }

CUDA_TEST(warp_tiles_of_mma_multiply) {
  cudaDeviceProp properties;
  test::check(cudaGetDeviceProperties(&properties, 0), "cudaGetDeviceProperties");
  if (properties.major >= 8) expect_products_of_all_sizes<MmaTile>();  // to compile it for less makes nothing of it
}

}  // namespace
}  // namespace tvn::cuda
