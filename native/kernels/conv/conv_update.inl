// The register tile of the weight gradient: R scalars times Q vectors, summed over positions.
#include <utility>

#include "core/simd/common.inl"

namespace tvn::TVN_ISA {
namespace {

constexpr int max_update_rows(int64_t vectors) { return static_cast<int>(smaller(24, (registers - 2 - vectors) / vectors)); }

struct Update {
  const float* rows;  // R neighbours at each of these offsets
  const int64_t* row_offsets;
  const float* columns;  // `width` neighbours at each of these
  const int64_t* column_offsets;
  int64_t positions;
  int64_t width;
  float* sum;  // [R, width], its rows `pitch` apart
  int64_t pitch;
  bool start;  // from 0 instead of what is there
  Prefetch ahead;
};

template <int R, int Q>
void update(const Update& a) {
  const Mask last = first(a.width - (Q - 1) * lanes);
  Vec sum[R][Q];
#pragma GCC unroll 24
  for (int r = 0; r < R; r++) {
    const float* from = a.sum + r * a.pitch;
    const uintptr_t next =
        reinterpret_cast<uintptr_t>(from) + static_cast<uintptr_t>(R * a.pitch) * sizeof(float);  // of the next tile, most of the time
    for (uintptr_t q = 0; q < Q; q++) __builtin_prefetch(reinterpret_cast<const void*>(next + q * sizeof(Vec)), 1);
#pragma GCC unroll 4
    for (int q = 0; q < Q - 1; q++) sum[r][q] = a.start ? zero() : load(from + q * lanes);
    sum[r][Q - 1] = a.start ? zero() : load(from + (Q - 1) * lanes, last);
  }
  Prefetch ahead = a.ahead;
  for (int64_t i = 0; i < a.positions; i++) {
    ahead.next();
    const float* row = a.rows + a.row_offsets[i];
    const float* column = a.columns + a.column_offsets[i];
    Vec b[Q];
#pragma GCC unroll 4
    for (int q = 0; q < Q - 1; q++) b[q] = load(column + q * lanes);
    b[Q - 1] = load(column + (Q - 1) * lanes, last);
#pragma GCC unroll 24
    for (int r = 0; r < R; r++) {
      const Vec x = broadcast(row[r]);
#pragma GCC unroll 4
      for (int q = 0; q < Q; q++) sum[r][q] = fma(x, b[q], sum[r][q]);
    }
  }
#pragma GCC unroll 24
  for (int r = 0; r < R; r++) {
    float* to = a.sum + r * a.pitch;
#pragma GCC unroll 4
    for (int q = 0; q < Q - 1; q++) store(to + q * lanes, sum[r][q]);
    store(to + (Q - 1) * lanes, sum[r][Q - 1], last);
  }
}

using UpdateFunction = void(const Update&);

template <int Q>
struct Updates {
  template <int... R>
  static constexpr UpdateFunction* get(int64_t rows, std::integer_sequence<int, R...>) {
    constexpr UpdateFunction* table[] = {update<R + 1, Q>...};
    return table[rows - 1];
  }
  static constexpr UpdateFunction* get(int64_t rows) { return get(rows, std::make_integer_sequence<int, max_update_rows(Q)>{}); }
};

constexpr UpdateFunction* update_function(int64_t rows, int64_t vectors) {
  switch (vectors) {
    case 1: return Updates<1>::get(rows);
    case 2: return Updates<2>::get(rows);
    case 3: return Updates<3>::get(rows);
  }
  return Updates<widest>::get(rows);
}

}  // namespace
}  // namespace tvn::TVN_ISA
