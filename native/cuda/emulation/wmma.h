// nvcuda::wmma for m16n16k16: halves in, f32 sums. Which element of a tile lies where in a fragment is nobody's business, and is scrambled
// here. As on a device, loads and stores order no memory: a lane loads before it waits for the others and stores after it, so that a
// missing __syncwarp shows.
#pragma once

#include "cuda/emulation/half.h"
#include "cuda/emulation/meeting.h"

namespace tvn::emulation {

constexpr int tile = 16;

/** Element i of a lane's share is element (row, column) of the tile. Each use has a factor of its own, an odd one. */
template <int factor>
struct TilePlace {
  int row, column;
  TilePlace(int lane, int i) {
    const int at = (lane * 8 + i) * factor + factor / 2;
    row = at / tile % tile;
    column = at % tile;
  }
};
constexpr int factor_a = 37, factor_b = 101, factor_accumulator = 173;

struct TileProduct {
  float* d;
  const half* a;
  const half* b;
  const float* c;
};
/** d = a·b + c for the warp. */
void multiply_tiles(const TileProduct& mine, SourceLine where);

/** Finds that the pointer is aligned, and that the stride is a multiple of `multiple` elements. */
void check_tile(const char* operation, const void* at, unsigned stride, unsigned multiple, SourceLine where);
void check_same_tile(const char* operation, const void* at, unsigned stride, SourceLine where);
int lane_of_this_thread();

}  // namespace tvn::emulation

namespace nvcuda::wmma {

struct matrix_a {};
struct matrix_b {};
struct accumulator {};
struct row_major {};
struct col_major {};
enum layout_t { mem_row_major, mem_col_major };

template <class Use, int M, int N, int K, class T, class Layout = void>
class fragment;

template <class Layout>
class fragment<matrix_a, 16, 16, 16, half, Layout> {
 public:
  static constexpr int num_elements = 16, factor = tvn::emulation::factor_a;
  half x[num_elements];  // every element of the tile is in two places
};
template <class Layout>
class fragment<matrix_b, 16, 16, 16, half, Layout> {
 public:
  static constexpr int num_elements = 16, factor = tvn::emulation::factor_b;
  half x[num_elements];
};
template <>
class fragment<accumulator, 16, 16, 16, float, void> {
 public:
  static constexpr int num_elements = 8;
  float x[num_elements];
};

using Accumulator = fragment<accumulator, 16, 16, 16, float>;

template <class Use, class T, class Layout>
void fill_fragment(fragment<Use, 16, 16, 16, T, Layout>& to, const T& value) {
  for (T& element : to.x) element = value;
}

template <class Use, class Layout>
void load_matrix_sync(fragment<Use, 16, 16, 16, half, Layout>& to, const half* from, unsigned stride,
                      tvn::emulation::SourceLine where = tvn::emulation::SourceLine::current()) {
  using namespace tvn::emulation;
  check_tile("load_matrix_sync", from, stride, 8, where);
  const int lane = lane_of_this_thread();
  for (int i = 0; i < 8; i++) {
    const TilePlace<fragment<Use, 16, 16, 16, half, Layout>::factor> at(lane, i);
    constexpr bool by_rows = std::is_same_v<Layout, row_major>;
    to.x[i] = to.x[i + 8] =
        from[static_cast<unsigned>(by_rows ? at.row : at.column) * stride + static_cast<unsigned>(by_rows ? at.column : at.row)];
  }
  check_same_tile("load_matrix_sync", from, stride, where);
}

inline void load_matrix_sync(Accumulator& to, const float* from, unsigned stride, layout_t layout,
                             tvn::emulation::SourceLine where = tvn::emulation::SourceLine::current()) {
  using namespace tvn::emulation;
  check_tile("load_matrix_sync", from, stride, 4, where);
  const int lane = lane_of_this_thread();
  for (int i = 0; i < 8; i++) {
    const TilePlace<factor_accumulator> at(lane, i);
    const bool by_rows = layout == mem_row_major;
    to.x[i] = from[static_cast<unsigned>(by_rows ? at.row : at.column) * stride + static_cast<unsigned>(by_rows ? at.column : at.row)];
  }
  check_same_tile("load_matrix_sync", from, stride, where);
}

inline void store_matrix_sync(float* to, const Accumulator& from, unsigned stride, layout_t layout,
                              tvn::emulation::SourceLine where = tvn::emulation::SourceLine::current()) {
  using namespace tvn::emulation;
  check_tile("store_matrix_sync", to, stride, 4, where);
  check_same_tile("store_matrix_sync", to, stride, where);
  const int lane = lane_of_this_thread();
  for (int i = 0; i < 8; i++) {
    const TilePlace<factor_accumulator> at(lane, i);
    const bool by_rows = layout == mem_row_major;
    to[static_cast<unsigned>(by_rows ? at.row : at.column) * stride + static_cast<unsigned>(by_rows ? at.column : at.row)] = from.x[i];
  }
}

template <class LayoutA, class LayoutB>
void mma_sync(Accumulator& d, const fragment<matrix_a, 16, 16, 16, half, LayoutA>& a,
              const fragment<matrix_b, 16, 16, 16, half, LayoutB>& b, const Accumulator& c,
              tvn::emulation::SourceLine where = tvn::emulation::SourceLine::current()) {
  tvn::emulation::multiply_tiles({d.x, a.x, b.x, c.x}, where);
}

}  // namespace nvcuda::wmma
