// The register tile of the forward pass and the data gradient: R positions times Q vectors of output channels.
#include <utility>

#include "core/simd/common.inl"
#include "core/simd/math.inl"

namespace tvn::TVN_ISA {
namespace {

/**
 * How output channels lie in vectors. Few channels are paired: a vector holds lanes / 2 of them, those of one k in the even lanes and
 * those of the next k in the odd ones, and neighbouring sums are added at the end. Then 8 channels fill 16 lanes, and x is loaded
 * once for two k; with one vector a row the loads would limit the speed.
 */
constexpr bool paired(int64_t channels) {
  const int64_t halves = ceil_div(channels, lanes / 2);
  return halves <= 2 || (halves % 2 == 1 && halves < 12);
}
constexpr int64_t channels_per_vector(int64_t channels) { return paired(channels) ? lanes / 2 : lanes; }
constexpr int64_t vectors_of(int64_t channels) { return ceil_div(channels, channels_per_vector(channels)); }

constexpr int widest = registers == 32 ? 4 : 3;  // vectors of a panel
/** Rows of a tile: as many as leave registers for the weights and for x; a row also takes a pointer, of which there are few. */
constexpr int max_rows(int64_t vectors) { return static_cast<int>(smaller(12, (registers - 1 - vectors) / vectors)); }

struct Tile {
  const float* x = nullptr;
  int64_t kt = 0, kh = 0, run = 0;  // a window: kt·kh runs of words
  int64_t pitch_t = 0, pitch_h = 0;
  Function function = Function::none;
  bool fetch_y = true;
  // for each panel of output channels
  const float* w = nullptr;      // packed
  const float* bias = nullptr;   // from here on at the panel's first channel; null for none
  const float* scale = nullptr;  // as bias
  const float* add = nullptr;    // as y, null for none
  float* y = nullptr;
  int64_t channels = 0;  // of the panel
  // for each tile
  const int64_t* read = nullptr;   // offsets of the rows' windows from x
  const int64_t* write = nullptr;  // offsets of the rows' results from y
  Prefetch ahead = {};
};

/** A tile of fewer steps is done before memory has answered. */
constexpr int64_t least_steps_to_fetch = 16;

/** relu is applied on the way to memory; the functions that take longer are applied to what has just been written. */
__attribute__((noinline)) inline void apply_function(const Tile& a, int rows) {
  for (int r = 0; r < rows; r++) {
    float* y = a.y + a.write[r];
    for_vectors(0, a.channels, [&](int64_t c, auto mask) { store(y + c, apply(a.function, load(y + c, mask)), mask); });
  }
}

template <int R, int Q, bool Paired>
void tile(const Tile& a) {
  const float* row[R];
  Vec sum[R][Q];
#pragma GCC unroll 16
  for (int r = 0; r < R; r++) {
    row[r] = a.x + a.read[r];
#pragma GCC unroll 4
    for (int q = 0; q < Q; q++) sum[r][q] = zero();
  }
  constexpr int whole = Paired ? (Q + 1) / 2 : Q;
  if (a.fetch_y && a.kt * a.kh * a.run >= least_steps_to_fetch) {  // for the stores at the end
    for (int r = 0; r < R; r++)
#pragma GCC unroll 4
      for (int q = 0; q < whole; q++)
        if (q * lanes % 16 == 0) __builtin_prefetch(a.y + a.write[r] + q * lanes, 1);
  }
  const float* w = a.w;
  Prefetch ahead = a.ahead;
  const auto step = [&](const auto& x_of) __attribute__((always_inline)) {
    ahead.next();
    Vec b[Q];
#pragma GCC unroll 4
    for (int q = 0; q < Q; q++) b[q] = load(w + q * lanes);
#pragma GCC unroll 16
    for (int r = 0; r < R; r++) {
      const Vec x = x_of(row[r]);
#pragma GCC unroll 4
      for (int q = 0; q < Q; q++) sum[r][q] = multiply_add(x, b[q], sum[r][q]);
    }
    w += Q * lanes;
  };
  for (int64_t t = 0; t < a.kt; t++)
    for (int64_t h = 0; h < a.kh; h++) {
      int64_t i = t * a.pitch_t + h * a.pitch_h;
      const int64_t end = i + a.run;
      if constexpr (Paired) {
        for (; i + 2 <= end; i += 2) step([&](const float* x) { return broadcast_pair(x + i); });
        if (i < end) step([&](const float* x) { return alternate(broadcast(x[i]), zero()); });
      } else {
        for (; i < end; i++) step([&](const float* x) { return broadcast(x[i]); });
      }
    }

  const Vec least = broadcast(a.function == Function::relu ? 0.0f : -__builtin_inff());
  const auto finish = [&](int q, auto mask) {
    const Vec bias = a.bias ? load(a.bias + q * lanes, mask) : zero();
    const Vec scale = a.scale ? load(a.scale + q * lanes, mask) : broadcast(1);
#pragma GCC unroll 16
    for (int r = 0; r < R; r++) {
      const int64_t at = a.write[r] + q * lanes;
      const Vec total = Paired ? sum_pairs(sum[r][2 * q], 2 * q + 1 < Q ? sum[r][2 * q + 1] : zero()) : sum[r][q];
      Vec y = total + bias;
      if (a.scale) y = y * scale;
      if (a.add) y = y + load(a.add + at, mask);
      store(a.y + at, max(least, y), mask);
    }
  };
#pragma GCC unroll 4
  for (int q = 0; q < whole - 1; q++) finish(q, All{});
  finish(whole - 1, first(a.channels - (whole - 1) * lanes));
  if (a.function == Function::hswish || a.function == Function::sigmoid) apply_function(a, R);
}

using TileFunction = void(const Tile&);

template <int Q, bool Paired>
struct Tiles {
  template <int... R>
  static constexpr TileFunction* get(int64_t rows, std::integer_sequence<int, R...>) {
    constexpr TileFunction* table[] = {tile<R + 1, Q, Paired>...};
    return table[rows - 1];
  }
  static constexpr TileFunction* get(int64_t rows) { return get(rows, std::make_integer_sequence<int, max_rows(Q)>{}); }
};

template <bool Paired>
constexpr TileFunction* tile_function(int64_t rows, int64_t vectors) {
  switch (vectors) {
    case 1: return Tiles<1, Paired>::get(rows);
    case 2: return Tiles<2, Paired>::get(rows);
    case 3: return Tiles<3, Paired>::get(rows);
  }
  return Tiles<widest, Paired>::get(rows);
}

}  // namespace
}  // namespace tvn::TVN_ISA
