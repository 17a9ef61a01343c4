#include <gtest/gtest.h>

#include "kernels/conv/conv.h"
#include "kernels/conv/conv_reference.h"
#include "test/bf16.h"
#include "test/guarded_buffer.h"
#include "test/kernels.h"
#include "test/random.h"
#include "test/tolerance.h"

namespace tvn::test {
namespace {

/** A pointwise expansion of c channels, and a shortcut from `shortcut_c` channels with strides. */
ConvSumShape sum_shape(Shape y, int64_t c, int64_t shortcut_c, int st, int sh, int sw) {
  const auto with = [&](int64_t t, int64_t h, int64_t w, int64_t channels) { return Shape{y.n, t, h, w, channels}; };
  const Window pixel{1, 1, 1, 1, 1, 1, 0, 0, 0}, strided{1, 1, 1, st, sh, sw, 0, 0, 0};
  return {{with(y.t, y.h, y.w, c), y, pixel}, {with((y.t - 1) * st + 1, y.h * sh, (y.w - 1) * sw + 1, shortcut_c), y, strided}};
}

void check(const ConvSumShape& s, Random& random) {
  const Shape& y = s.expand.y;
  SCOPED_TRACE(testing::Message() << y.n << "×" << y.t << "×" << y.h << "×" << y.w << "×" << y.c << " from " << s.expand.x.c << " and "
                                  << s.shortcut.x.c << ", stride " << s.shortcut.window.st << s.shortcut.window.sh << s.shortcut.window.sw);
  const auto x = random.buffer(s.expand.x.size()), w = random.buffer(s.expand.x.c * y.c), bias = random.buffer(y.c),
             scale = random.buffer(y.n * y.c), x2 = random.buffer(s.shortcut.x.size()), w2 = random.buffer(s.shortcut.x.c * y.c),
             bias2 = random.buffer(y.c);
  const bool with_bias = random.bits() % 4 != 0, with_scale = random.bits() % 4 != 0;
  const Function function = static_cast<Function>(random.bits() % 4);
  const auto maybe = [](bool with, const auto& values) { return with ? values.data() : nullptr; };

  const auto reference = [&](const auto& to_reference) {
    std::vector<double> result(static_cast<size_t>(y.size()));
    const std::vector<double> xd = to_reference(x), wd = to_reference(w), x2d = to_reference(x2), w2d = to_reference(w2);
    const auto bd = to_double(bias), sd = to_double(scale), b2d = to_double(bias2);
    conv_sum_reference<double>(s, xd.data(), wd.data(), maybe(with_bias, bd), maybe(with_scale, sd), x2d.data(), w2d.data(),
                               maybe(with_bias, b2d), function, result.data());
    return result;
  };
  const std::vector<double> want = reference(to_double), want_bf16 = reference(bf16_to_double);
  const double terms = static_cast<double>(s.expand.x.c + s.shortcut.x.c + 3);

  for_each_kernel(conv_sum_kernels(), [&](const auto& kernel) {
    const auto run = [&](int threads, const Tiling& tiling = {}) {
      ThreadPool pool(threads);
      ConvSumShape cut = s;
      cut.expand.tiling = cut.shortcut.tiling = tiling;
      const auto packed = [&](const ConvShape& shape, const auto& weights) {
        GuardedBuffer<float> to(static_cast<int64_t>(kernel.packed_size(shape)));
        kernel.pack(shape, weights.data(), to.data(), pool);
        return to;
      };
      const auto p = packed(cut.expand, w), p2 = packed(cut.shortcut, w2);
      GuardedBuffer<float> scratch(static_cast<int64_t>(kernel.scratch_size(cut, threads))), got(y.size());
      kernel.run(cut,
                 {x.data(), p.data(), maybe(with_bias, bias), maybe(with_scale, scale), x2.data(), p2.data(), maybe(with_bias, bias2),
                  function, got.data(), scratch.data()},
                 pool);
      return got;
    };
    const auto got = run(1);
    const bool bf16 = kernel.precision == Precision::bf16, sums_are_rounded = rounds_sums(kernel);
    if (!sums_are_rounded) expect_close(got, bf16 ? want_bf16 : want, {.terms = terms, .scale = std::fmax(1, std::sqrt(terms) / 3)});
    if (bf16) expect_close(got, want, bf16_products(terms, sums_are_rounded));
    for (const int threads : {2, 3}) expect_same_bits(run(threads), got);
    for (const Tiling& tiling : kernel.tilings) expect_same_bits(run(2, tiling), got);
  });
}

TEST(ConvSum, EveryPairOfChannels) {
  Random random;
  for (const int64_t c : {1, 3, 8, 16, 33})
    for (const int64_t oc : {1, 8, 15, 17, 24, 64, 65})
      for (const int stride : {1, 2}) check(sum_shape({2, 2, 3, 5, oc}, c, c + 2, 1, stride, stride), random);
}

/** A map that is one pixel already: the strides skip nothing. */
TEST(ConvSum, StridesOverOnePixel) {
  Random random;
  for (const int64_t n : {1, 2}) {
    ConvSumShape s = sum_shape({n, 7, 1, 1, 40}, 16, 24, 1, 2, 2);
    s.shortcut.x = {n, 7, 1, 1, 24};
    check(s, random);
  }
}

TEST(ConvSum, ManyBlocks) {
  Random random;
  check(sum_shape({1, 2, 29, 31, 40}, 16, 40, 1, 1, 1), random);
  check(sum_shape({3, 1, 19, 23, 72}, 33, 24, 2, 2, 2), random);
  check(sum_shape({1, 1, 7, 9, 1024}, 24, 1024, 1, 1, 1), random);  // pixels a multiple of pages apart
  check(sum_shape({2, 3, 4, 4, 130}, 1024, 70, 2, 3, 2), random);
}

/** One by Strassen and one not, both, and the same with a stride and two clips. */
TEST(ConvSum, ManyChannels) {
  Random random;
  check(sum_shape({1, 1, 9, 10, 300}, 24, 290, 1, 1, 1), random);
  check(sum_shape({1, 1, 9, 10, 300}, 260, 290, 1, 1, 1), random);
  check(sum_shape({2, 2, 7, 6, 300}, 260, 290, 1, 2, 2), random);
}

}  // namespace
}  // namespace tvn::test
