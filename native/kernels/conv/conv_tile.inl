// The register tile of the forward pass and the data gradient: R positions times Q vectors of output channels.
#include <utility>

#include "core/simd/common.inl"
#include "core/simd/math.inl"

namespace tvn::TVN_ISA {
namespace {

constexpr int widest = registers == 32 ? 4 : 3;  // vectors of a panel
constexpr int max_rows(int q) { return static_cast<int>(smaller(12, (registers - 1 - q) / q)); }  // sums, weights, one x; a pointer per row

struct Tile {
  const float* x;
  const int64_t* read;   // offsets of the rows' windows from x
  const int64_t* write;  // offsets of the rows' results from y
  int64_t kt, kh, run;   // a window: kt·kh runs of floats
  int64_t pitch_t, pitch_h;
  const float* w;     // [kt·kh·run, Q·lanes]
  const float* bias;  // from here on at the panel's first channel; null for none
  const float* add;   // as y, null for none
  float* y;
  int64_t channels;  // of the panel
  Function function;
  Prefetch ahead;
};

/** relu is applied on the way to memory; the functions that take longer are applied to what has just been written. */
__attribute__((noinline)) inline void apply_function(const Tile& a, int rows) {
  for (int r = 0; r < rows; r++) {
    float* y = a.y + a.write[r];
    for_vectors(0, a.channels, [&](int64_t c, auto mask) { store(y + c, apply(a.function, load(y + c, mask)), mask); });
  }
}

template <int R, int Q>
void tile(const Tile& a) {
  const float* row[R];
  Vec sum[R][Q];
#pragma GCC unroll 16
  for (int r = 0; r < R; r++) {
    row[r] = a.x + a.read[r];
#pragma GCC unroll 4
    for (int q = 0; q < Q; q++) sum[r][q] = zero();
  }
  const float* w = a.w;
  Prefetch ahead = a.ahead;
  for (int64_t t = 0; t < a.kt; t++)
    for (int64_t h = 0; h < a.kh; h++) {
      const int64_t begin = t * a.pitch_t + h * a.pitch_h, end = begin + a.run;
      for (int64_t i = begin; i < end; i++, w += Q * lanes) {
        if (Q > 1 || i % 4 == 0) ahead.next();
        Vec b[Q];
#pragma GCC unroll 4
        for (int q = 0; q < Q; q++) b[q] = load(w + q * lanes);
#pragma GCC unroll 16
        for (int r = 0; r < R; r++) {
          const Vec x = broadcast(row[r][i]);
#pragma GCC unroll 4
          for (int q = 0; q < Q; q++) sum[r][q] = fma(x, b[q], sum[r][q]);
        }
      }
    }

  const Vec least = broadcast(a.function == Function::relu ? 0.0f : -__builtin_inff());
  const Mask last = first(a.channels - (Q - 1) * lanes);
  const auto finish = [&](int q, auto mask) {
    const Vec bias = a.bias ? load(a.bias + q * lanes, mask) : zero();
#pragma GCC unroll 16
    for (int r = 0; r < R; r++) {
      const int64_t at = a.write[r] + q * lanes;
      Vec y = sum[r][q] + bias;
      if (a.add) y = y + load(a.add + at, mask);
      store(a.y + at, max(least, y), mask);
    }
  };
#pragma GCC unroll 4
  for (int q = 0; q < Q - 1; q++) finish(q, All{});
  finish(Q - 1, last);
  if (a.function == Function::hswish || a.function == Function::sigmoid) apply_function(a, R);
}

using TileFunction = void(const Tile&);

template <int Q>
struct Tiles {
  template <int... R>
  static constexpr TileFunction* get(int rows, std::integer_sequence<int, R...>) {
    constexpr TileFunction* table[] = {tile<R + 1, Q>...};
    return table[rows - 1];
  }
};

constexpr TileFunction* tile_function(int rows, int q) {
  const auto get = [&]<int Q>(std::integral_constant<int, Q>) { return Tiles<Q>::get(rows, std::make_integer_sequence<int, max_rows(Q)>{}); };
  switch (q) {
    case 1: return get(std::integral_constant<int, 1>{});
    case 2: return get(std::integral_constant<int, 2>{});
    case 3: return get(std::integral_constant<int, 3>{});
  }
  if constexpr (widest >= 4) return get(std::integral_constant<int, 4>{});
  return nullptr;
}

}  // namespace
}  // namespace tvn::TVN_ISA
