// The register tile of the forward pass and the data gradient: R positions times Q vectors of output channels.
#include <utility>

#include "core/simd/common.inl"
#include "core/simd/math.inl"

namespace tvn::TVN_ISA {
namespace {

constexpr int widest = registers == 32 ? 4 : 3;  // vectors of a panel

/**
 * Vectors across output channels. A half vector holds the same few channels for two neighbouring k, so that 8 channels do not waste
 * half of 16 lanes; its two sums are added at the end.
 */
struct Width {
  int vectors;
  bool half;
};
constexpr Width width(int64_t channels) {
  const int64_t rest = channels % lanes;
  if (channels < 2 * lanes && rest > 0 && 2 * rest <= lanes) return {static_cast<int>(channels / lanes), true};
  return {static_cast<int>(ceil_div(channels, lanes)), false};
}
/** Rows of a tile: as many as leave registers for the weights and for x. A row takes a pointer, of which there are few too. */
constexpr int max_rows(Width w) {
  const int all = w.vectors + w.half, others = w.half ? 2 * (2 * w.vectors + 1) : w.vectors + 1;
  return static_cast<int>(smaller(12, (registers - others) / all));
}

struct Tile {
  const float* x;
  const int64_t* read;   // offsets of the rows' windows from x
  const int64_t* write;  // offsets of the rows' results from y
  int64_t kt, kh, run;   // a window: kt·kh runs of floats
  int64_t pitch_t, pitch_h;
  const float* w;        // packed
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
using Sums = Vec[R][Q];

/** sum[r] += x[r]·w over a run. */
template <int R, int Q>
inline void add_run(const float* const (&row)[R], int64_t begin, int64_t end, const float*& w, Prefetch& ahead, Sums<R, Q>& sum) {
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

/** The same with Q whole vectors and a half: w holds those of an even k, those of the next, and the halves of both. */
template <int R, int Q>
inline void add_run_with_half(const float* const (&row)[R], int64_t begin, int64_t end, const float*& w, Prefetch& ahead, Sums<R, Q + 1>& sum) {
  int64_t i = begin;
  for (; i + 2 <= end; i += 2, w += (2 * Q + 1) * lanes) {
    ahead.next();
    const Vec half = load(w + 2 * Q * lanes);
    if constexpr (Q == 0) {
#pragma GCC unroll 16
      for (int r = 0; r < R; r++) sum[r][0] = fma(broadcast_pair(row[r] + i), half, sum[r][0]);
    } else {
      static_assert(Q == 1);
      const Vec even = load(w), odd = load(w + lanes);
#pragma GCC unroll 16
      for (int r = 0; r < R; r++) {
        const Vec x0 = broadcast(row[r][i]), x1 = broadcast(row[r][i + 1]);
        sum[r][0] = fma(x0, even, sum[r][0]);
        sum[r][1] = fma(halves(x0, x1), half, sum[r][1]);
        sum[r][0] = fma(x1, odd, sum[r][0]);
      }
    }
  }
  if (i == end) return;
  const Vec half = load(w + Q * lanes);
#pragma GCC unroll 16
  for (int r = 0; r < R; r++) {
    const Vec x = broadcast(row[r][i]);
    if constexpr (Q == 1) sum[r][0] = fma(x, load(w), sum[r][0]);
    sum[r][Q] = fma(halves(x, zero()), half, sum[r][Q]);
  }
  w += (Q + 1) * lanes;
}

template <int R, int Q, bool Half>
void tile(const Tile& a) {
  constexpr int all = Q + Half;
  const float* row[R];
  Sums<R, all> sum;
#pragma GCC unroll 16
  for (int r = 0; r < R; r++) {
    row[r] = a.x + a.read[r];
#pragma GCC unroll 4
    for (int q = 0; q < all; q++) sum[r][q] = zero();
  }
  const float* w = a.w;
  Prefetch ahead = a.ahead;
  for (int64_t t = 0; t < a.kt; t++)
    for (int64_t h = 0; h < a.kh; h++) {
      const int64_t begin = t * a.pitch_t + h * a.pitch_h, end = begin + a.run;
      if constexpr (Half)
        add_run_with_half<R, Q>(row, begin, end, w, ahead, sum);
      else
        add_run<R, Q>(row, begin, end, w, ahead, sum);
    }

  const Vec least = broadcast(a.function == Function::relu ? 0.0f : -__builtin_inff());
  const auto finish = [&](int q, auto mask) {
    const Vec bias = a.bias ? load(a.bias + q * lanes, mask) : zero();
#pragma GCC unroll 16
    for (int r = 0; r < R; r++) {
      const int64_t at = a.write[r] + q * lanes;
      Vec y = (Half && q == Q ? fold(sum[r][q]) : sum[r][q]) + bias;
      if (a.add) y = y + load(a.add + at, mask);
      store(a.y + at, max(least, y), mask);
    }
  };
#pragma GCC unroll 4
  for (int q = 0; q < all - 1; q++) finish(q, All{});
  finish(all - 1, first(a.channels - (all - 1) * lanes));
  if (a.function == Function::hswish || a.function == Function::sigmoid) apply_function(a, R);
}

using TileFunction = void(const Tile&);

template <int Q, bool Half>
struct Tiles {
  template <int... R>
  static constexpr TileFunction* get(int rows, std::integer_sequence<int, R...>) {
    constexpr TileFunction* table[] = {tile<R + 1, Q, Half>...};
    return table[rows - 1];
  }
  static constexpr TileFunction* get(int rows) { return get(rows, std::make_integer_sequence<int, max_rows({Q, Half})>{}); }
};

constexpr TileFunction* tile_function(int rows, Width w) {
  if (w.half) return w.vectors == 0 ? Tiles<0, true>::get(rows) : Tiles<1, true>::get(rows);
  if constexpr (widest >= 4)
    if (w.vectors == 4) return Tiles<4, false>::get(rows);
  return w.vectors == 1 ? Tiles<1, false>::get(rows) : w.vectors == 2 ? Tiles<2, false>::get(rows) : Tiles<3, false>::get(rows);
}

}  // namespace
}  // namespace tvn::TVN_ISA
