// Twins of the inline PTX in device/ptx.h. Register layouts are those of the PTX manual (chapter "Warp level matrix instructions").
#pragma once

#include <cstdint>

#include "cuda/emulation/half.h"
#include "cuda/emulation/meeting.h"

#ifndef TVN_EMULATED_SM
#define TVN_EMULATED_SM 80
#endif

namespace tvn::emulation {

/** What a lane brings to a product. */
struct Fragments {
  float* d;
  const unsigned* a;
  const unsigned* b;
  bool a_by_rows, b_by_columns;  // of mma.m8n8k4
};

void multiply_m16n8k16(const Fragments& mine, SourceLine where);
void multiply_m8n8k4(const Fragments& mine, SourceLine where);
/** The rows of `matrices` 8x8 matrices: row r of matrix m is what lane 8·m + r brought. */
const Slot* matrix_rows(const char* operation, int matrices, const half* row, SourceLine where);
int lane_of_this_thread();

void begin_copy(void* to, const void* from, bool valid, SourceLine where);
void commit_copies();
/** Takes the oldest copy that belongs to none of the last `groups`; false where there is none. */
bool take_copy(int groups, void*& to, const void*& from);

/** Two neighbours of a row, or of a column, for each of the matrices. */
inline void read_matrices(const char* operation, unsigned* registers, int matrices, bool transposed, const half* row, SourceLine where) {
  const Slot* rows = matrix_rows(operation, matrices, row, where);
  const int lane = lane_of_this_thread(), outer = lane / 4, inner = lane % 4 * 2;
  for (int m = 0; m < matrices; m++) {
    const auto at = [&](int r, int c) -> unsigned { return rows[m * 8 + r].as<const half*>()[c].bits; };
    registers[m] = transposed ? at(inner, outer) | at(inner + 1, outer) << 16 : at(outer, inner) | at(outer, inner + 1) << 16;
  }
}

}  // namespace tvn::emulation

namespace tvn::cuda {

/** d += a·b: mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32, from sm_80. */
inline void mma_m16n8k16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2],
                         emulation::SourceLine where = emulation::SourceLine::current()) {
  emulation::multiply_m16n8k16({d, a, b, true, true}, where);
}
/** d += a·b in each of the four quad pairs: mma.sync.aligned.m8n8k4.{row|col}.{col|row}.f32.f16.f16.f32. */
template <bool a_by_rows, bool b_by_columns>
void mma_m8n8k4(float (&d)[8], const unsigned (&a)[2], const unsigned (&b)[2],
                emulation::SourceLine where = emulation::SourceLine::current()) {
  emulation::multiply_m8n8k4({d, a, b, a_by_rows, b_by_columns}, where);
}

/** ldmatrix.sync.aligned.m8n8.x4.shared.b16, from sm_75. Lanes 8·m … 8·m + 7 give the rows of matrix m, each 16 bytes. */
inline void ldmatrix_x4(unsigned (&r)[4], const half* row, emulation::SourceLine where = emulation::SourceLine::current()) {
  emulation::read_matrices("ldmatrix.x4", r, 4, false, row, where);
}
inline void ldmatrix_x4_trans(unsigned (&r)[4], const half* row, emulation::SourceLine where = emulation::SourceLine::current()) {
  emulation::read_matrices("ldmatrix.x4.trans", r, 4, true, row, where);
}
inline void ldmatrix_x2(unsigned (&r)[2], const half* row, emulation::SourceLine where = emulation::SourceLine::current()) {
  emulation::read_matrices("ldmatrix.x2", r, 2, false, row, where);
}
inline void ldmatrix_x2_trans(unsigned (&r)[2], const half* row, emulation::SourceLine where = emulation::SourceLine::current()) {
  emulation::read_matrices("ldmatrix.x2.trans", r, 2, true, row, where);
}
inline void ldmatrix_x1(unsigned (&r)[1], const half* row, emulation::SourceLine where = emulation::SourceLine::current()) {
  emulation::read_matrices("ldmatrix.x1", r, 1, false, row, where);
}
inline void ldmatrix_x1_trans(unsigned (&r)[1], const half* row, emulation::SourceLine where = emulation::SourceLine::current()) {
  emulation::read_matrices("ldmatrix.x1.trans", r, 1, true, row, where);
}

/**
 * cp.async.cg.shared.global of 16 bytes, or of zeros where not valid; from sm_80. The copy may happen at any time until it is waited for:
 * here its target is NaN from now on, and the source is read at the end.
 */
inline void copy16_async(void* shared, const void* global, bool valid, emulation::SourceLine where = emulation::SourceLine::current()) {
  emulation::begin_copy(shared, global, valid, where);
  *static_cast<uint4*>(shared) = make_uint4(~0u, ~0u, ~0u, ~0u);
}
/** Closes a group of copies. */
inline void copy_commit() { emulation::commit_copies(); }
/** Waits for all groups of this thread but the last N. Other threads see their data after a barrier. */
template <int N>
void copy_wait() {
  void* to;
  const void* from;
  while (emulation::take_copy(N, to, from)) *static_cast<uint4*>(to) = from ? *static_cast<const uint4*>(from) : make_uint4(0, 0, 0, 0);
}

}  // namespace tvn::cuda
