// Convolutions of single pixels with many channels as products of matrices, positions × C times C × OC, by Strassen's algorithm.
//
// A block of positions of one clip is cut into groups of rows and its channels into as many parts; the left factors of all products are
// formed once, multiplied panel after panel with those of the weights, and merged while a panel's products are in L1. Blocks follow from
// the shape alone and never cross clips, so that results depend neither on threads nor on the other clips of a batch. A NaN in x reaches
// the positions of its block.
#include "kernels/conv/strassen_block.inl"

namespace tvn::TVN_ISA {
namespace {

bool strassen_supports(const ConvShape& s) { return is_pixel_matrix(s); }

/**
 * How many levels pay, by a model of the time in multiplications, fitted to measurements on Zen 5: forming factors takes as long as 6 of
 * them for every channel of x, storing and merging products as 13 for every channel of y, in bf16 twice as long; what is won must be a
 * third more than that. In bf16 a second level would cost too much of the precision. Weights are nearly twice as many, three times with two
 * levels: they must not be too many for the last cache, and need positions enough to be used for. Batches play no part, so that a clip's
 * results do not depend on them.
 */
constexpr int strassen_levels(const ConvShape& s) {
  const int64_t c = s.x.c, oc = s.y.c, positions = s.y.t * s.y.h * s.y.w;
  const bool pays = positions >= 80 && c * oc <= 5 << 19 && 3 * c * oc / 8 > 4 * channels_per_word * (6 * c + 13 * oc);
  return !pays ? 0 : !converts && smaller(c, oc) >= 1280 && positions >= 320 ? 2 : 1;
}

/** Calls f with Strassen<levels>; no level is the plain product. */
template <class F>
auto with_levels(int levels, const F& f) {
  if constexpr (!converts) {
    if (levels == 2) return f(Strassen<2>{});
  }
  return levels == 0 ? f(Strassen<0>{}) : f(Strassen<1>{});
}

/** One of the products that are summed. All have the same y. */
struct PixelSource {
  PixelMatrix matrix;
  const float* x;
  const float* packed;
  const float* bias;
};

std::size_t strassen_packed_size(const PixelMatrix& m) {
  return with_levels(m.levels, [&](auto s) {
    const StrassenLayout<decltype(s)> l(m);
    return static_cast<std::size_t>(l.panels() * l.panel_weights());
  });
}
void strassen_pack(const PixelMatrix& m, const Weights& w, float* packed, ThreadPool& pool) {
  with_levels(m.levels, [&](auto s) { strassen_pack<decltype(s)>(m, w, packed, pool); });
}
/** Of a thread. */
int64_t strassen_scratch(const PixelMatrix& m) {
  return with_levels(m.levels, [&](auto s) { return StrassenLayout<decltype(s)>(m).scratch(m.c); });
}

/** target = function(add + scale · (bias + Σ x·w) + Σ over the other sources). */
void strassen(const PixelSource* sources, int64_t count, const Correlation& a, ThreadPool& pool) {
  const PixelMatrix& m = sources[0].matrix;
  const int64_t blocks = m.clips * pixel_blocks(m);
  if (blocks == 0 || m.oc == 0) return;
  int64_t scratch = 0;
  for (int64_t k = 0; k < count; k++) scratch = larger(scratch, strassen_scratch(sources[k].matrix));
  const auto block = [&](int64_t k, int64_t task, int64_t groups, int thread) {
    const PixelSource& s = sources[k];
    const PixelBlock b = pixel_block(m, task / groups), next = pixel_block(m, smaller(task + 1, blocks * groups - 1) / groups);
    const int64_t group = task % groups, clip = b.clip * m.positions * m.oc;
    const float* add = k > 0 ? a.target + clip : a.add ? a.add + clip : nullptr;
    const StrassenOutput output{s.bias, k == 0 && a.scale ? a.scale + b.clip * m.oc : nullptr, add,
                                k == count - 1 ? a.function : Function::none, a.target + clip};
    with_levels(s.matrix.levels, [&](auto levels) {
      const int64_t panels = StrassenLayout<decltype(levels)>(s.matrix).panels();
      strassen_block<decltype(levels)>(s.matrix, b, next, s.x, s.packed, panels * group / groups, panels * (group + 1) / groups, output,
                                       a.scratch + thread * scratch);
    });
  };
  if (pool.threads() == 1) {
    for (int64_t task = 0; task < blocks; task++)
      for (int64_t k = 0; k < count; k++) block(k, task, 1, 0);  // what the source before has left is still near
    return;
  }
  // few blocks: threads share the panels of a block, and each forms the factors for itself; panels of two sources need not agree
  for (int64_t k = 0; k < count; k++) {
    const int64_t panels =
        with_levels(sources[k].matrix.levels, [&](auto s) { return StrassenLayout<decltype(s)>(sources[k].matrix).panels(); });
    const int64_t groups = smaller(panels, ceil_div(4 * pool.threads(), blocks));
    pool.run(blocks * groups, [&](int64_t task, int thread) { block(k, task, groups, thread); });
  }
}

// Forward.

/** At least one level: where none pays, this kernel runs in tests alone. */
constexpr PixelMatrix strassen_matrix(const ConvShape& s) { return pixel_matrix(s, static_cast<int>(larger(1, strassen_levels(s)))); }

std::size_t strassen_forward_packed_size(const ConvShape& s) { return strassen_packed_size(strassen_matrix(s)); }
void strassen_forward_pack(const ConvShape& s, const float* w, float* packed, ThreadPool& pool) {
  strassen_pack(strassen_matrix(s), {w, s.y.c, 1}, packed, pool);
}
std::size_t strassen_forward_scratch_size(const ConvShape& s, int threads) {
  return static_cast<std::size_t>(threads * strassen_scratch(strassen_matrix(s)));
}
void strassen_forward(const ConvShape& s, const ConvForwardArgs& a, ThreadPool& pool) {
  const PixelSource source{strassen_matrix(s), a.x, a.packed, a.bias};
  strassen(&source, 1, {a.scale, a.residual, a.function, a.y, a.scratch}, pool);
}
bool strassen_forward_pays(const ConvShape& s, Precision) { return !direct_only() && strassen_supports(s) && strassen_levels(s) > 0; }

// Sum of two: each with as many levels as pay for it.

constexpr PixelMatrix summand(const ConvShape& s) { return pixel_matrix(s, strassen_levels(s)); }

std::size_t strassen_sum_packed_size(const ConvShape& s) { return strassen_packed_size(summand(s)); }
void strassen_sum_pack(const ConvShape& s, const float* w, float* packed, ThreadPool& pool) {
  strassen_pack(summand(s), {w, s.y.c, 1}, packed, pool);
}

std::size_t strassen_sum_scratch_size(const ConvSumShape& s, int threads) {
  return static_cast<std::size_t>(threads * larger(strassen_scratch(summand(s.expand)), strassen_scratch(summand(s.shortcut))));
}
void strassen_sum(const ConvSumShape& s, const ConvSumArgs& a, ThreadPool& pool) {
  const PixelSource sources[] = {{summand(s.expand), a.x, a.packed, a.bias},
                                 {summand(s.shortcut), a.shortcut_x, a.shortcut_packed, a.shortcut_bias}};
  strassen(sources, 2, {a.scale, nullptr, a.function, a.y, a.scratch}, pool);
}
bool strassen_sum_pays(const ConvSumShape& s, Precision) {
  return !direct_only() && (strassen_levels(s.expand) > 0 || strassen_levels(s.shortcut) > 0);
}

// Positions that share a block share sums: its size is fixed, and rows are not computed alone.

constexpr Tiling strassen_tilings[] = {{.fetch_y = false}};

constexpr Precision strassen_precision = converts ? Precision::bf16 : Precision::f32;

constexpr ConvKernel<ConvForwardArgs> forward_strassen(const char* name) {
  return {.name = name,
          .isa = Isa::TVN_ISA,
          .packed_size = strassen_forward_packed_size,
          .pack = strassen_forward_pack,
          .scratch_size = strassen_forward_scratch_size,
          .run = strassen_forward,
          .supports = strassen_supports,
          .pays = strassen_forward_pays,
          .precision = strassen_precision,
          .row_unit = 0,
          .tilings = strassen_tilings};
}
constexpr ConvSumKernel sum_strassen(const char* name) {
  return {.name = name,
          .isa = Isa::TVN_ISA,
          .packed_size = strassen_sum_packed_size,
          .pack = strassen_sum_pack,
          .scratch_size = strassen_sum_scratch_size,
          .run = strassen_sum,
          .pays = strassen_sum_pays,
          .precision = strassen_precision,
          .row_unit = 0,
          .tilings = strassen_tilings};
}

}  // namespace
}  // namespace tvn::TVN_ISA
