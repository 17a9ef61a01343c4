#include "cuda/emulation/ptx.h"

#include "cuda/emulation/multiprocessor.h"

namespace tvn::emulation {
namespace {

float low(unsigned pair) { return float_of_half(static_cast<std::uint16_t>(pair)); }
float high(unsigned pair) { return float_of_half(static_cast<std::uint16_t>(pair >> 16)); }

const Fragments& fragments(const Slot* slots, int lane) { return *slots[lane].as<const Fragments*>(); }

/**
 * With g = lane / 4 and t = lane % 4: a[0] holds row g of columns 2t and 2t + 1, a[1] row g + 8 of them, a[2] and a[3] the same rows of
 * columns 2t + 8 and 2t + 9; b[0] column g of rows 2t and 2t + 1, b[1] of rows 2t + 8 and 2t + 9; d[0] and d[1] row g, d[2] and d[3]
 * row g + 8 of columns 2t and 2t + 1.
 */
void multiply_of_warp(const Slot* slots) {
  float a[16][16], b[16][8];
  for (int lane = 0; lane < 32; lane++) {
    const int g = lane / 4, t = lane % 4;
    for (int i = 0; i < 4; i++) {
      const unsigned pair = fragments(slots, lane).a[i];
      float* to = &a[g + i % 2 * 8][2 * t + i / 2 * 8];
      to[0] = low(pair);
      to[1] = high(pair);
    }
    for (int i = 0; i < 2; i++) {
      const unsigned pair = fragments(slots, lane).b[i];
      b[2 * t + i * 8][g] = low(pair);
      b[2 * t + i * 8 + 1][g] = high(pair);
    }
  }
  for (int row = 0; row < 16; row++) {
    float sums[8] = {};
    for (int k = 0; k < 16; k++)
      for (int column = 0; column < 8; column++) sums[column] += a[row][k] * b[k][column];
    for (int column = 0; column < 8; column++) fragments(slots, row % 8 * 4 + column / 2).d[row / 8 * 2 + column % 2] += sums[column];
  }
}

/**
 * Quad pair q is lanes 4q … 4q + 3 and the same plus 16, its members 0 … 7. Of a by rows, member i holds row i; by columns, rows
 * 4·(i / 4) … + 3 of column i % 4. Of b by columns, member i holds column i; by rows, columns 4·(i / 4) … + 3 of row i % 4. Element v of
 * its d is row (i & 1) + (v & 2) + (i & 4), column (v & 1) + (i & 2) + (v & 4).
 */
void multiply_of_quad_pairs(const Slot* slots) {
  for (int q = 0; q < 4; q++) {
    const auto member = [&](int i) -> const Fragments& { return fragments(slots, q * 4 + i % 4 + i / 4 * 16); };
    // line `of` of eight holds `k`, or line k of four holds `of`
    const auto element = [&](const unsigned* Fragments::*matrix, bool by_lines, int of, int k) {
      const unsigned* registers = member(by_lines ? of : k + of / 4 * 4).*matrix;
      const int at = by_lines ? k : of % 4;
      return at % 2 ? high(registers[at / 2]) : low(registers[at / 2]);
    };
    for (int i = 0; i < 8; i++)
      for (int v = 0; v < 8; v++) {
        const int row = (i & 1) + (v & 2) + (i & 4), column = (v & 1) + (i & 2) + (v & 4);
        float sum = 0;
        for (int k = 0; k < 4; k++)
          sum += element(&Fragments::a, member(i).a_by_rows, row, k) * element(&Fragments::b, member(i).b_by_columns, column, k);
        member(i).d[v] += sum;
      }
  }
}

void need(int capability, const char* instruction, SourceLine where) {
  if (TVN_EMULATED_SM < capability)
    Multiprocessor::here().fault("%s of %s:%d, which sm_%d does not have", instruction, where.file, where.line, TVN_EMULATED_SM);
}

void multiply(const char* name, const Fragments& mine, SourceLine where, void (*all)(const Slot*)) {
  Multiprocessor& processor = Multiprocessor::here();
  if (processor.lanes() != all_lanes) processor.fault("%s of %s:%d in a warp of fewer than 32 threads", name, where.file, where.line);
  meet(name, all_lanes, Slot::of(&mine), where, all);
}

bool aligned(const void* pointer) { return reinterpret_cast<std::uintptr_t>(pointer) % 16 == 0; }

}  // namespace

void multiply_m16n8k16(const Fragments& mine, SourceLine where) {
  need(80, "mma.m16n8k16", where);
  multiply("mma.m16n8k16", mine, where, multiply_of_warp);
}

void multiply_m8n8k4(const Fragments& mine, SourceLine where) { multiply("mma.m8n8k4", mine, where, multiply_of_quad_pairs); }

const Slot* matrix_rows(const char* operation, int matrices, const half* row, SourceLine where) {
  need(75, operation, where);
  Multiprocessor& processor = Multiprocessor::here();
  if (processor.lanes() != all_lanes) processor.fault("%s of %s:%d in a warp of fewer than 32 threads", operation, where.file, where.line);
  if (lane_of_this_thread() < matrices * 8 && !aligned(row))
    processor.fault("%s of %s:%d has a row at %p, which is not aligned to 16 bytes", operation, where.file, where.line,
                    static_cast<const void*>(row));
  return meet(operation, all_lanes, Slot::of(row), where);
}

void begin_copy(void* to, const void* from, bool valid, SourceLine where) {
  need(80, "cp.async", where);
  Multiprocessor& processor = Multiprocessor::here();
  if (!aligned(to) || (valid && !aligned(from)))
    processor.fault("cp.async of %s:%d from %p to %p, which are not both aligned to 16 bytes", where.file, where.line, from, to);
  PendingCopies& pending = processor.current().pending;
  if (pending.end - pending.begin == PendingCopies::most)
    processor.fault("cp.async of %s:%d while %u copies are under way already", where.file, where.line, PendingCopies::most);
  pending.copies[pending.end++ % PendingCopies::most] = {to, valid ? from : nullptr, pending.group};
}

void commit_copies() { Multiprocessor::here().current().pending.group++; }

bool take_copy(int groups, void*& to, const void*& from) {
  PendingCopies& pending = Multiprocessor::here().current().pending;
  const PendingCopies::Copy& oldest = pending.copies[pending.begin % PendingCopies::most];
  if (pending.begin == pending.end || oldest.group + static_cast<unsigned>(groups) >= pending.group) return false;
  to = oldest.to;
  from = oldest.from;
  pending.begin++;
  return true;
}

}  // namespace tvn::emulation
