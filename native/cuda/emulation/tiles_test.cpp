// Tensor cores: wmma and the instructions of ptx.h against plain sums.
#include "cuda/test/test.h"

namespace tvn::emulation {
namespace {

using namespace nvcuda;
using cuda::test::DeviceArray;
using cuda::test::integers;
using cuda::test::Random;

/** Sum over k of a[row][k]·b[k][column], with a and b given by their strides. */
float product(const std::vector<half>& a, int row_a, int step_a, const std::vector<half>& b, int column_b, int step_b, int k) {
  float sum = 0;
  for (int i = 0; i < k; i++)
    sum += __half2float(a[static_cast<size_t>(row_a + i * step_a)]) * __half2float(b[static_cast<size_t>(column_b + i * step_b)]);
  return sum;
}

template <class LayoutA, class LayoutB>
__global__ void multiply_tile(const half* a, const half* b, const float* c, float* d, int ld, wmma::layout_t layout) {
  wmma::fragment<wmma::matrix_a, 16, 16, 16, half, LayoutA> fa;
  wmma::fragment<wmma::matrix_b, 16, 16, 16, half, LayoutB> fb;
  wmma::fragment<wmma::accumulator, 16, 16, 16, float> fc, doubled;
  wmma::load_matrix_sync(fa, a, static_cast<unsigned>(ld));
  wmma::load_matrix_sync(fb, b, static_cast<unsigned>(ld));
  wmma::load_matrix_sync(fc, c, static_cast<unsigned>(ld), layout);
  wmma::mma_sync(fc, fa, fb, fc);
  wmma::fill_fragment(doubled, 0.0f);
  for (int i = 0; i < fc.num_elements; i++) doubled.x[i] = 2 * fc.x[i];
  wmma::store_matrix_sync(d, doubled, static_cast<unsigned>(ld), layout);
}

template <class LayoutA, class LayoutB>
void expect_tile_products() {
  constexpr bool rows_a = std::is_same_v<LayoutA, wmma::row_major>, rows_b = std::is_same_v<LayoutB, wmma::row_major>;
  Random random;
  for (const int ld : {16, 24, 40})
    for (const wmma::layout_t layout : {wmma::mem_row_major, wmma::mem_col_major}) {
      const auto a = integers(random, 16 * ld), b = integers(random, 16 * ld);
      std::vector<float> c(static_cast<size_t>(16 * ld));
      for (float& value : c) value = static_cast<float>(random.integer(-100, 100));
      DeviceArray<half> a_device(a), b_device(b);
      DeviceArray<float> c_device(c), d_device(c.size());
      const auto kernel = multiply_tile<LayoutA, LayoutB>;
      LAUNCH(kernel, 1, 32, 0, nullptr, a_device.data(), b_device.data(), c_device.data(), d_device.data(), ld, layout);
      const auto d = d_device.read();
      for (int row = 0; row < 16; row++)
        for (int column = 0; column < 16; column++) {
          const auto at = static_cast<size_t>(layout == wmma::mem_row_major ? row * ld + column : column * ld + row);
          const float want =
              c[at] + product(a, rows_a ? row * ld : row, rows_a ? 1 : ld, b, rows_b ? column : column * ld, rows_b ? ld : 1, 16);
          EXPECT(d[at] == 2 * want);
        }
      for (int row = 0; row < 16; row++)
        for (int beyond = 16; beyond < ld; beyond++)
          EXPECT(d[static_cast<size_t>(row * ld + beyond)] != d[static_cast<size_t>(row * ld + beyond)]);
    }
}

CUDA_TEST(emulation_multiplies_tiles) {
  expect_tile_products<wmma::row_major, wmma::row_major>();
  expect_tile_products<wmma::row_major, wmma::col_major>();
  expect_tile_products<wmma::col_major, wmma::row_major>();
  expect_tile_products<wmma::col_major, wmma::col_major>();
}

#if !defined(__SANITIZE_THREAD__)  // which calls it what it is, a race
__global__ void tile_without_syncwarp(float* y) {
  __shared__ __align__(32) half s[256];
  for (unsigned i = threadIdx.x; i < 256; i += 32) s[i] = __float2half(1);
  wmma::fragment<wmma::matrix_a, 16, 16, 16, half, wmma::row_major> a;
  wmma::load_matrix_sync(a, s, 16);  // without __syncwarp: others may not have written
  bool seen = true;
  for (int i = 0; i < a.num_elements; i++) seen = seen && __half2float(a.x[i]) == 1;
  y[threadIdx.x] = seen;
}

CUDA_TEST(emulation_shows_a_missing_syncwarp) {
  DeviceArray<float> y(32);
  LAUNCH(tile_without_syncwarp, 1, 32, 0, nullptr, y.data());
  EXPECT(y.read()[0] == 0);
}
#endif

/** D[16][8] = A[16][16]·B[16][8], fragments by the PTX manual's tables for m16n8k16. */
__global__ void fragments_of_ampere(const half* a, const half* b, float* d) {
  const int lane = static_cast<int>(threadIdx.x), group = lane / 4, in_group = lane % 4;
  unsigned fa[4], fb[2];
  float fd[4] = {};
  for (int i = 0; i < 8; i += 2) {
    const int row = i < 2 || (i >= 4 && i < 6) ? group : group + 8, column = in_group * 2 + (i >= 4 ? 8 : 0);
    fa[i / 2] = *reinterpret_cast<const unsigned*>(a + row * 16 + column);
  }
  for (int i = 0; i < 4; i += 2) {
    const int row = in_group * 2 + (i >= 2 ? 8 : 0);
    fb[i / 2] = __half_as_ushort(b[row * 8 + group]) | static_cast<unsigned>(__half_as_ushort(b[(row + 1) * 8 + group])) << 16;
  }
  cuda::mma_m16n8k16(fd, fa, fb);
  cuda::mma_m16n8k16(fd, fa, fb);
  for (int i = 0; i < 4; i++) d[(i < 2 ? group : group + 8) * 8 + in_group * 2 + i % 2] = fd[i];
}

/** The same with fragments from ldmatrix. */
__global__ void fragments_by_ldmatrix(const half* a, const half* b, float* d) {
  __shared__ __align__(16) half sa[16 * 24], sb[16 * 8];
  const int lane = static_cast<int>(threadIdx.x), group = lane / 4, in_group = lane % 4;
  for (int i = lane; i < 256; i += 32) sa[i / 16 * 24 + i % 16] = a[i];
  for (int i = lane; i < 128; i += 32) sb[i] = b[i];
  __syncwarp();
  unsigned fa[4], fb[2];
  float fd[4] = {};
  cuda::ldmatrix_x4(fa, sa + lane % 16 * 24 + lane / 16 * 8);
  cuda::ldmatrix_x2_trans(fb, sb + lane % 16 * 8);
  cuda::mma_m16n8k16(fd, fa, fb);
  unsigned one[1], other[1];
  cuda::ldmatrix_x1(one, sa + lane % 8 * 24);
  EXPECT(one[0] == fa[0]);
  cuda::ldmatrix_x1_trans(other, sb + lane % 8 * 8);
  EXPECT(other[0] == fb[0]);
  for (int i = 0; i < 4; i++) d[(i < 2 ? group : group + 8) * 8 + in_group * 2 + i % 2] = 2 * fd[i];
}

CUDA_TEST(emulation_multiplies_fragments_of_ampere) {
  if (TVN_EMULATED_SM < 80) return;
  Random random;
  const auto a = integers(random, 256), b = integers(random, 128);
  DeviceArray<half> a_device(a), b_device(b);
  for (const auto kernel : {fragments_of_ampere, fragments_by_ldmatrix}) {
    DeviceArray<float> d_device(128);
    LAUNCH(kernel, 1, 32, 0, nullptr, a_device.data(), b_device.data(), d_device.data());
    const auto d = d_device.read();
    for (int row = 0; row < 16; row++)
      for (int column = 0; column < 8; column++)
        EXPECT(d[static_cast<size_t>(row * 8 + column)] == 2 * product(a, row * 16, 1, b, column, 8, 16));
  }
}

__global__ void transposed_matrices(const half* x, unsigned* plain, unsigned* transposed) {
  __shared__ __align__(16) half s[256];
  for (unsigned i = threadIdx.x; i < 256; i += 32) s[i] = x[i];
  __syncwarp();
  unsigned r[4];
  cuda::ldmatrix_x4(r, s + threadIdx.x * 8);
  for (int i = 0; i < 4; i++) plain[i * 32 + static_cast<int>(threadIdx.x)] = r[i];
  cuda::ldmatrix_x4_trans(r, s + threadIdx.x * 8);
  for (int i = 0; i < 4; i++) transposed[i * 32 + static_cast<int>(threadIdx.x)] = r[i];
}

CUDA_TEST(emulation_loads_matrices) {
  if (TVN_EMULATED_SM < 80) return;
  std::vector<half> x(256);
  for (unsigned i = 0; i < 256; i++) x[i] = __ushort_as_half(static_cast<unsigned short>(i));
  DeviceArray<half> x_device(x);
  DeviceArray<unsigned> plain_device(128), transposed_device(128);
  LAUNCH(transposed_matrices, 1, 32, 0, nullptr, x_device.data(), plain_device.data(), transposed_device.data());
  const auto plain = plain_device.read(), transposed = transposed_device.read();
  for (unsigned m = 0; m < 4; m++)
    for (unsigned lane = 0; lane < 32; lane++) {
      const unsigned matrix = m * 64, outer = lane / 4, inner = lane % 4 * 2;
      EXPECT(plain[m * 32 + lane] == ((matrix + outer * 8 + inner) | (matrix + outer * 8 + inner + 1) << 16));
      EXPECT(transposed[m * 32 + lane] == ((matrix + inner * 8 + outer) | (matrix + (inner + 1) * 8 + outer) << 16));
    }
}

/** D[16][16] = A[16][K]·B[K][16], whose elements lie `row_a`, `step_a`, `column_b` and `step_b` apart. Quad pair q has rows 8·(q / 2) and
 * columns 8·(q % 2); its members' elements are those of the PTX manual's tables for m8n8k4. */
template <bool a_by_rows, bool b_by_columns>
__global__ void fragments_of_volta(const half* a, int row_a, int step_a, const half* b, int column_b, int step_b, float* d, int k) {
  const int lane = static_cast<int>(threadIdx.x), q = lane / 4 % 4, upper = lane < 16 ? 0 : 4;
  const auto bits = [](const half* matrix, int at) { return static_cast<unsigned>(__half_as_ushort(matrix[at])); };
  float fd[8] = {};
  for (int from = 0; from < k; from += 4) {
    unsigned fa[2] = {}, fb[2] = {};
    for (int i = 0; i < 4; i++) {
      const int row = a_by_rows ? lane % 4 + upper : i + upper, step_of_a = a_by_rows ? i : lane % 4;
      const int column = b_by_columns ? lane % 4 + upper : i + upper, step_of_b = b_by_columns ? i : lane % 4;
      fa[i / 2] |= bits(a, (q / 2 * 8 + row) * row_a + (from + step_of_a) * step_a) << i % 2 * 16;
      fb[i / 2] |= bits(b, (q % 2 * 8 + column) * column_b + (from + step_of_b) * step_b) << i % 2 * 16;
    }
    cuda::mma_m8n8k4<a_by_rows, b_by_columns>(fd, fa, fb);
  }
  for (int v = 0; v < 8; v++) {
    const int row = (lane & 1) + (v & 2) + upper, column = (v & 4) + (lane & 2) + (v & 1);
    d[(q / 2 * 8 + row) * 16 + q % 2 * 8 + column] = fd[v];
  }
}

CUDA_TEST(emulation_multiplies_fragments_of_volta) {
  Random random;
  const int k = 32;
  const auto a = integers(random, 16 * k), b = integers(random, 16 * k);
  DeviceArray<half> a_device(a), b_device(b);
  for (const auto kernel : {fragments_of_volta<true, true>, fragments_of_volta<true, false>, fragments_of_volta<false, true>,
                            fragments_of_volta<false, false>}) {
    DeviceArray<float> d_device(256);
    LAUNCH(kernel, 1, 32, 0, nullptr, a_device.data(), k, 1, b_device.data(), 1, 16, d_device.data(), k);
    const auto d = d_device.read();
    for (int row = 0; row < 16; row++)
      for (int column = 0; column < 16; column++)
        EXPECT(d[static_cast<size_t>(row * 16 + column)] == product(a, row * k, 1, b, column, 16, k));
  }
}

/** A pipeline of three stages. Data is read while one group may be pending; with two it may be the one that is read. */
template <int pending>
__global__ void pipeline(const uint4* x, uint4* y, int steps, int valid_steps) {
  __shared__ uint4 stages[3][32];
  const auto begin = [&](int step) {
    if (step < steps) cuda::copy16_async(&stages[step % 3][threadIdx.x], x + step * 32 + static_cast<int>(threadIdx.x), step < valid_steps);
    cuda::copy_commit();
  };
  begin(0);
  begin(1);
  for (int step = 0; step < steps; step++) {
    cuda::copy_wait<pending>();
    __syncthreads();
    begin(step + 2);
    y[step * 32 + static_cast<int>(threadIdx.x)] = stages[step % 3][31 - threadIdx.x];
  }
}

CUDA_TEST(emulation_copies_when_waited_for) {
  if (TVN_EMULATED_SM < 80) return;
  const int steps = 7, valid_steps = 5;
  std::vector<uint4> values;
  for (unsigned i = 0; i < static_cast<unsigned>(valid_steps) * 32; i++) values.push_back(make_uint4(i, i + 1, i + 2, i + 3));
  DeviceArray<uint4> x(values), y(static_cast<size_t>(steps * 32));
  LAUNCH(pipeline<1>, 1, 32, 0, nullptr, x.data(), y.data(), steps, valid_steps);
  const auto got = y.read();
  for (unsigned i = 0; i < static_cast<unsigned>(steps) * 32; i++) {
    const unsigned from = i / 32 * 32 + 31 - i % 32;
    EXPECT(got[i].x == (from < values.size() ? from : 0) && got[i].w == (from < values.size() ? from + 3 : 0));
  }
}

#if !defined(__SANITIZE_THREAD__)  // which calls it what it is, a race
CUDA_TEST(emulation_shows_a_copy_that_was_not_waited_for) {
  if (TVN_EMULATED_SM < 80) return;
  DeviceArray<uint4> x(std::vector<uint4>(7 * 32)), y(7 * 32);
  LAUNCH(pipeline<2>, 1, 32, 0, nullptr, x.data(), y.data(), 7, 7);
  bool stale = false;
  for (const uint4& value : y.read()) stale = stale || value.x == ~0u;
  EXPECT(stale);
}
#endif

}  // namespace
}  // namespace tvn::emulation
