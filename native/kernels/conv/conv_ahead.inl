// Reading ahead: while a block is computed, the memory that the next one reads is prefetched into L2, a little in every iteration of
// the register tiles. Otherwise the units wait for memory between blocks and memory waits for them inside.
namespace tvn::TVN_ISA {
namespace {

/** Rows of `row` floats, two levels of them. */
struct Region {
  const float* base;
  int64_t t, h, pitch_t, pitch_h, row;
};

/** The part of x under a block. */
inline Region region(const Problem& p, const Block& b, const float* x) {
  const int64_t pitch_h = p.w.in * p.c, pitch_t = p.h.in * pitch_h;
  const auto part = [](const Axis& a, Block::Range r) {
    const int64_t begin = r.begin * a.stride - a.pad, end = begin + extent(a, r.size), first = smaller(larger(begin, 0), a.in);
    return Block::Range{first, larger(smaller(end, a.in) - first, 0)};
  };
  const Block::Range t = part(p.t, b.t), h = part(p.h, b.h), w = part(p.w, b.w);
  return {x + ((b.n * p.t.in + t.begin) * p.h.in + h.begin) * pitch_h + w.begin * p.c, t.size, h.size, pitch_t, pitch_h, w.size * p.c};
}

/** The part of y under a block. */
inline Region output_region(const Problem& p, const Block& b, const float* y) {
  const int64_t pitch_h = p.w.out * p.oc, pitch_t = p.h.out * pitch_h;
  return {y + ((b.n * p.t.out + b.t.begin) * p.h.out + b.h.begin) * pitch_h + b.w.begin * p.oc,
          b.t.size,
          b.h.size,
          pitch_t,
          pitch_h,
          b.w.size * p.oc};
}

/** Prefetches of one call of a register tile: one in each iteration, `step` bytes apart. */
struct Prefetch {
  uintptr_t at;  // not a pointer, because it may leave the tensor
  int64_t step;
  void next() {
    __builtin_prefetch(reinterpret_cast<const void*>(at), 0, 2);
    at += static_cast<uintptr_t>(step);
  }
};

/** Shares out regions over `calls` of `iterations` each. */
class Ahead {
 public:
  Ahead() = default;
  Ahead(Region first_region, Region second_region, int64_t calls, int64_t iterations) : now(first_region), later(second_region) {
    if (rows(now) == 0) advance();
    const int64_t floats = rows(first_region) * first_region.row + rows(second_region) * second_region.row;
    if (floats > 2 * block_words) return;  // it would drive this block out of L2
    const int64_t bytes = floats * static_cast<int64_t>(sizeof(float));
    span = ceil_div(bytes, larger(calls, 1));
    step = ceil_div(span, larger(iterations, 1));
  }

  Prefetch call() {
    const float* row = now.base + t * now.pitch_t + h * now.pitch_h;
    const Prefetch p{reinterpret_cast<uintptr_t>(row) + static_cast<uintptr_t>(offset), step};
    const int64_t row_bytes = now.row * static_cast<int64_t>(sizeof(float));
    for (offset += span; offset >= row_bytes && rows(now) > 0; offset -= row_bytes)
      if (++h == now.h) {
        h = 0;
        if (++t == now.t) advance();
      }
    return p;
  }

 private:
  static int64_t rows(const Region& r) { return r.row == 0 ? 0 : r.t * r.h; }
  void advance() {
    now = later;
    later = {later.base, 0, 0, 0, 0, 0};
    t = h = 0;
  }

  Region now{}, later{};
  int64_t t = 0, h = 0, offset = 0, span = 0, step = 0;
};

}  // namespace
}  // namespace tvn::TVN_ISA
