#include "kernels/resize/resize.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/buffer.h"
#include "kernels/resize/resize_plan.h"

namespace tvn {

namespace avx2 {
Resize resize;
}
namespace avx512 {
Resize resize;
}

namespace {

constexpr Kernel<Resize> list[] = {
    {"resize_u8_avx512", Isa::avx512, avx512::resize},
    {"resize_u8_avx2", Isa::avx2, avx2::resize},
    {"resize_u8_reference", Isa::reference, resize_portable},
};

/** Half the width of the triangle. */
double support_of(int64_t side, int64_t size) { return std::max(static_cast<double>(side) / static_cast<double>(size), 1.0); }

int64_t most_pairs(int64_t side, int64_t size) { return static_cast<int64_t>(std::ceil(support_of(side, size))) + 1; }

/** The parts of the scratch in bytes, each a whole number of cache lines. */
struct Layout {
  Layout(int64_t side, int64_t size)
      : first(lines(size, sizeof(int32_t))),
        weights(lines(size * 2 * most_pairs(side, size), sizeof(int16_t))),
        row(lines((side + 2 * most_pairs(side, size)) * 3 + 8, sizeof(int16_t))),
        sums(lines(size * 3 + 1, sizeof(int32_t))) {}
  static std::size_t lines(int64_t count, std::size_t bytes) { return round_up(static_cast<std::size_t>(count) * bytes, cache_line); }
  std::size_t first, weights, row, sums;
};

}  // namespace

std::span<const Kernel<Resize>> resize_kernels() { return list; }

std::size_t resize_scratch(int64_t side, int64_t size) {
  const Layout layout(side, size);
  return layout.first + layout.weights + layout.row + layout.sums + cache_line;
}

ResizePlan plan_resize(const ResizeArgs& a) {
  const Layout layout(a.side, a.size);
  uint8_t* const start = a.scratch + (cache_line - reinterpret_cast<uintptr_t>(a.scratch) % cache_line) % cache_line;
  auto* const first = reinterpret_cast<int32_t*>(start);
  auto* const weights = reinterpret_cast<int16_t*>(start + layout.first);
  ResizePlan plan;
  plan.first = first;
  plan.weights = weights;
  plan.row = reinterpret_cast<int16_t*>(start + layout.first + layout.weights);
  plan.sums = reinterpret_cast<int32_t*>(start + layout.first + layout.weights + layout.row);

  const double scale = static_cast<double>(a.side) / static_cast<double>(a.size), support = support_of(a.side, a.size);
  const auto center = [&](int64_t i) { return (static_cast<double>(i) + 0.5) * scale; };
  // The taps of position i: pixels whose middle lies less than `support` from its centre.
  const auto begin = [&](int64_t i) { return std::max<int64_t>(static_cast<int64_t>(std::floor(center(i) - support + 0.5)), 0); };
  const auto end = [&](int64_t i) { return std::min<int64_t>(static_cast<int64_t>(std::ceil(center(i) + support - 0.5)), a.side); };
  int64_t taps = 1;
  for (int64_t i = 0; i < a.size; i++) taps = std::max(taps, end(i) - begin(i));
  plan.pairs = (taps + 1) / 2;

  std::memset(weights, 0, static_cast<std::size_t>(a.size * 2 * plan.pairs) * sizeof(int16_t));
  for (int64_t i = 0; i < a.size; i++) {
    const int64_t from = begin(i), to = end(i);
    const auto triangle = [&](int64_t pixel) { return std::max(support - std::fabs(static_cast<double>(pixel) + 0.5 - center(i)), 0.0); };
    double total = 0;
    for (int64_t pixel = from; pixel < to; pixel++) total += triangle(pixel);
    const double unit = (1 << weight_bits) / total;
    // Differences of rounded partial sums: they add up to exactly 1.
    double sum = 0;
    int32_t done = 0;
    for (int64_t pixel = from; pixel < to; pixel++) {
      sum += triangle(pixel) * unit;
      const auto upto = static_cast<int32_t>(sum + 0.5);
      weights[i * 2 * plan.pairs + pixel - from] = static_cast<int16_t>(upto - done);
      done = upto;
    }
    first[i] = static_cast<int32_t>(from);
  }
  std::memset(plan.row + a.side * 3, 0, static_cast<std::size_t>(2 * plan.pairs * 3 + 8) * sizeof(int16_t));
  return plan;
}

void resize_portable(const ResizeArgs& a) {
  const ResizePlan plan = plan_resize(a);
  const int64_t taps = 2 * plan.pairs;
  const auto dot = [&](int64_t position, const auto& value) {
    int32_t sum = 0;
    for (int64_t k = 0; k < taps; k++)
      if (const int32_t weight = plan.weights[position * taps + k]) sum += weight * value(plan.first[position] + k);
    return sum;
  };
  const float scale = a.gain / (1 << (weight_bits + row_bits));
  for (int64_t y = 0; y < a.size; y++) {
    const uint8_t* const in = a.in + (a.top * a.width + a.left) * 3;
    for (int64_t i = 0; i < a.side * 3; i++) {
      const int32_t sum = dot(y, [&](int64_t row) { return in[row * a.width * 3 + i]; });
      plan.row[i] = static_cast<int16_t>((sum + (1 << (weight_bits - row_bits - 1))) >> (weight_bits - row_bits));
    }
    for (int64_t x = 0; x < a.size; x++)
      for (int64_t channel = 0; channel < 3; channel++) {
        const int32_t sum = dot(a.flip ? a.size - 1 - x : x, [&](int64_t column) { return plan.row[column * 3 + channel]; });
        const float value = static_cast<float>(sum) * scale + a.offset;
        a.out[(y * a.size + x) * 3 + channel] = static_cast<uint8_t>(std::lrint(value > 0 ? std::min(value, 255.0f) : 0.0f));
      }
  }
}

}  // namespace tvn
