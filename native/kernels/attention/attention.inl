// Attention over Vec, 32 queries at a time. Their scores lie key by key with the queries in lanes, so the softmax needs no sums across
// lanes, and every product is one small matrix multiplication.
#include "core/simd/common.inl"
#include "core/simd/math.inl"
#include "kernels/attention/attention.h"
#include "kernels/attention/attention_blocks.h"

namespace tvn::TVN_ISA {
namespace {

constexpr int tile_rows = 6, tile_vectors = 2;

/** A matrix with its pitches in floats. */
struct Matrix {
  const float* p;
  int64_t row, column;
};

template <int R, int V, class M>
void multiply_tile(const Matrix& a, const float* b, int64_t b_row, int64_t depth, float* out, int64_t out_row, bool accumulate, M mask) {
  Vec sum[R * V];
  unroll<R * V>([&](auto i) TVN_INLINE { sum[i] = accumulate ? load(out + i / V * out_row + i % V * lanes, mask) : zero(); });
  const float* row = a.p;
  const int64_t a_row = a.row, a_column = a.column;
  for (int64_t d = 0; d < depth; d++, row += a_column, b += b_row) {
    Vec right[V];
    unroll<V>([&](auto v) TVN_INLINE { right[v] = load(b + v * lanes, mask); });
    unroll<R>([&](auto r) TVN_INLINE {
      const Vec left = broadcast(row[r * a_row]);
      unroll<V>([&](auto v) TVN_INLINE { sum[r * V + v] = fma(left, right[v], sum[r * V + v]); });
    });
  }
  unroll<R * V>([&](auto i) TVN_INLINE { store(out + i / V * out_row + i % V * lanes, sum[i], mask); });
}

/** Columns of V vectors under a mask, all rows. */
template <int V, class M>
void multiply_columns(Matrix a, int64_t rows, int64_t depth, const float* b, int64_t b_row, float* out, int64_t out_row, bool accumulate,
                      M mask) {
  for (; rows >= tile_rows; rows -= tile_rows, a.p += tile_rows * a.row, out += tile_rows * out_row)
    multiply_tile<tile_rows, V>(a, b, b_row, depth, out, out_row, accumulate, mask);
  unroll<tile_rows>([&](auto r) TVN_INLINE {
    if constexpr (r > 0)
      if (rows == r) multiply_tile<r, V>(a, b, b_row, depth, out, out_row, accumulate, mask);
  });
}

/** out [rows, columns] (+)= a [rows, depth] · b [depth, columns]; b and out have their columns side by side. */
void multiply(const Matrix& a, int64_t rows, int64_t depth, const float* b, int64_t b_row, int64_t columns, float* out, int64_t out_row,
              bool accumulate) {
  constexpr int64_t wide = tile_vectors * lanes;
  int64_t j = 0;
  for (; j + wide <= columns; j += wide) multiply_columns<tile_vectors>(a, rows, depth, b + j, b_row, out + j, out_row, accumulate, All{});
  for_vectors(j, columns,
              [&](int64_t c, auto mask) { multiply_columns<1>(a, rows, depth, b + c, b_row, out + c, out_row, accumulate, mask); });
}

/** out [depth, block] = the `count` rows of x [count, depth], the rest of the block 0. */
void transpose_in(const float* x, int64_t count, int64_t depth, float* out) {
  for (int64_t d = 0; d < depth; d++)
    for (int64_t q = 0; q < query_block; q++) out[d * query_block + q] = q < count ? x[q * depth + d] : 0;
}
void transpose_out(const float* x, int64_t count, int64_t depth, float* out) {
  for (int64_t q = 0; q < count; q++)
    for (int64_t d = 0; d < depth; d++) out[q * depth + d] = x[d * query_block + q];
}

/** scores [keys, block] become exp(scale·(score − largest)); total [block] their sums. */
void exponentiate(float* scores, int64_t keys, float scale, float* total) {
  for (int64_t q = 0; q < query_block; q += lanes) {
    float* const column = scores + q;
    Vec largest = load(column), sum = zero();
    for (int64_t key = 1; key < keys; key++) largest = max(largest, load(column + key * query_block));
    for (int64_t key = 0; key < keys; key++) {
      const Vec power = exp((load(column + key * query_block) - largest) * broadcast(scale));
      sum = sum + power;
      store(column + key * query_block, power);
    }
    store(total + q, sum);
  }
}

/** x [rows, block] /= total [block] */
void divide(float* x, int64_t rows, const float* total) {
  for (int64_t q = 0; q < query_block; q += lanes) {
    const Vec share = broadcast(1.0f) / load(total + q);
    for (int64_t row = 0; row < rows; row++) store(x + row * query_block + q, load(x + row * query_block + q) * share);
  }
}

/** dp [keys, block] becomes the gradient of the scores: scale · p · (dp − Σ p·dp). */
void through_softmax(const float* p, float* dp, int64_t keys, float scale) {
  for (int64_t q = 0; q < query_block; q += lanes) {
    Vec mean = zero();
    for (int64_t i = q; i < keys * query_block; i += query_block) mean = fma(load(p + i), load(dp + i), mean);
    for (int64_t i = q; i < keys * query_block; i += query_block) store(dp + i, load(p + i) * (load(dp + i) - mean) * broadcast(scale));
  }
}

float scale_of(const AttentionShape& s) {
  return _mm_cvtss_f32(_mm_div_ss(_mm_set_ss(1.0f), _mm_sqrt_ss(_mm_set_ss(static_cast<float>(s.depth)))));
}

}  // namespace

void attention_forward(const AttentionShape& s, const AttentionForwardArgs& a, ThreadPool& pool) {
  const int64_t blocks = query_blocks(s), depth = s.depth, keys = s.keys;
  const float scale = scale_of(s);
  pool.run(s.n * blocks, [&](int64_t task, int thread) {
    const int64_t n = task / blocks, begin = task % blocks * query_block, count = smaller(query_block, s.queries - begin);
    float* const queries = a.scratch + thread * block_floats(s);
    float* const y = queries + depth * query_block;
    float* const scores = y + depth * query_block;
    const float *phi = a.phi + n * keys * depth, *g = a.g + n * keys * depth;
    const int64_t at = (n * s.queries + begin) * depth;
    float total[query_block];
    transpose_in(a.theta + at, count, depth, queries);
    multiply({phi, depth, 1}, keys, depth, queries, query_block, query_block, scores, query_block, false);
    exponentiate(scores, keys, scale, total);
    multiply({g, 1, depth}, depth, keys, scores, query_block, query_block, y, query_block, false);
    divide(y, depth, total);
    transpose_out(y, count, depth, a.y + at);
  });
}

void attention_backward(const AttentionShape& s, const AttentionBackwardArgs& a, ThreadPool& pool) {
  const int64_t blocks = query_blocks(s), chunks = query_chunks(s), depth = s.depth, keys = s.keys, size = keys * depth;
  const float scale = scale_of(s);
  float* const partial = a.scratch + pool.threads() * block_floats(s);  // [n, chunks, 2, keys, depth]: dphi and dg, where chunks > 1
  pool.run(s.n * chunks, [&](int64_t task, int thread) {
    const int64_t n = task / chunks, chunk = task % chunks;
    float* const queries = a.scratch + thread * block_floats(s);
    float* const gradients = queries + depth * query_block;
    float* const dqueries = gradients + depth * query_block;
    float* const p = dqueries + depth * query_block;
    float* const ds = p + keys * query_block;
    const float *phi = a.phi + n * size, *g = a.g + n * size;
    float* const dphi = chunks > 1 ? partial + task * 2 * size : a.dphi + n * size;
    float* const dg = chunks > 1 ? dphi + size : a.dg + n * size;
    for_vectors(0, size, [&](int64_t i, auto mask) {
      store(dphi + i, zero(), mask);
      store(dg + i, zero(), mask);
    });
    for (int64_t block = blocks * chunk / chunks; block < blocks * (chunk + 1) / chunks; block++) {
      const int64_t begin = block * query_block, count = smaller(query_block, s.queries - begin);
      const int64_t at = (n * s.queries + begin) * depth;
      float total[query_block];
      transpose_in(a.theta + at, count, depth, queries);
      transpose_in(a.dy + at, count, depth, gradients);
      multiply({phi, depth, 1}, keys, depth, queries, query_block, query_block, p, query_block, false);
      exponentiate(p, keys, scale, total);
      divide(p, keys, total);
      multiply({g, depth, 1}, keys, depth, gradients, query_block, query_block, ds, query_block, false);
      through_softmax(p, ds, keys, scale);
      multiply({phi, 1, depth}, depth, keys, ds, query_block, query_block, dqueries, query_block, false);
      transpose_out(dqueries, count, depth, a.dtheta + at);
      multiply({ds, query_block, 1}, keys, count, a.theta + at, depth, depth, dphi, depth, true);
      multiply({p, query_block, 1}, keys, count, a.dy + at, depth, depth, dg, depth, true);
    }
  });
  if (chunks == 1) return;
  pool.run(s.n * 2, [&](int64_t task, int) {
    const int64_t n = task / 2;
    float* const out = (task % 2 ? a.dg : a.dphi) + n * size;
    const float* const parts = partial + (n * chunks * 2 + task % 2) * size;
    for_vectors(0, size, [&](int64_t i, auto mask) {
      Vec sum = load(parts + i, mask);
      for (int64_t chunk = 1; chunk < chunks; chunk++) sum = sum + load(parts + chunk * 2 * size + i, mask);
      store(out + i, sum, mask);
    });
  });
}

}  // namespace tvn::TVN_ISA
