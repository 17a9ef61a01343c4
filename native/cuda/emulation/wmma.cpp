#include "cuda/emulation/wmma.h"

#include "cuda/emulation/multiprocessor.h"

namespace tvn::emulation {
namespace {

/** A row of a tile; the compiler makes whatever vectors it has of it. */
using Row = float __attribute__((vector_size(64)));

struct Tile {
  Row rows[tile];
  float* data() { return reinterpret_cast<float*>(rows); }
};

template <int factor, class T>
void gather(const T* share, int lane, Tile& tile_) {
  for (int i = 0; i < 8; i++) {
    const TilePlace<factor> at(lane, i);
    tile_.data()[at.row * tile + at.column] = share[i];
  }
}

void multiply_together(const Slot* slots) {
  Tile a, b, c;
  for (int lane = 0; lane < 32; lane++) {
    const auto& mine = *slots[lane].as<const TileProduct*>();
    gather<factor_a>(mine.a, lane, a);
    gather<factor_b>(mine.b, lane, b);
    gather<factor_accumulator>(mine.c, lane, c);
  }
  for (int i = 0; i < tile; i++) {
    Row sum = c.rows[i];
    for (int k = 0; k < tile; k++) sum += a.data()[i * tile + k] * b.rows[k];
    c.rows[i] = sum;
  }
  for (int lane = 0; lane < 32; lane++) {
    float* d = slots[lane].as<const TileProduct*>()->d;
    for (int i = 0; i < 8; i++) {
      const TilePlace<factor_accumulator> at(lane, i);
      d[i] = c.data()[at.row * tile + at.column];
    }
  }
}

}  // namespace

void multiply_tiles(const TileProduct& mine, SourceLine where) {
  Multiprocessor& processor = Multiprocessor::here();
  if (processor.lanes() != all_lanes) processor.fault("mma_sync of %s:%d in a warp of fewer than 32 threads", where.file, where.line);
  meet("mma_sync", all_lanes, Slot::of(&mine), where, multiply_together);
}

void check_tile(const char* operation, const void* at, unsigned stride, unsigned multiple, SourceLine where) {
  Multiprocessor& processor = Multiprocessor::here();
  if (reinterpret_cast<std::uintptr_t>(at) % 32 != 0)
    processor.fault("%s of %s:%d at %p, which is not aligned to 32 bytes", operation, where.file, where.line, at);
  if (stride % multiple != 0)
    processor.fault("%s of %s:%d with a stride of %u, not a multiple of %u elements", operation, where.file, where.line, stride, multiple);
  if (processor.lanes() != all_lanes) processor.fault("%s of %s:%d in a warp of fewer than 32 threads", operation, where.file, where.line);
}

void check_same_tile(const char* operation, const void* at, unsigned stride, SourceLine where) {
  Slot mine = Slot::of(at);
  mine.words[1] = stride;
  meet_with_the_same(operation, mine, where);
}

}  // namespace tvn::emulation
