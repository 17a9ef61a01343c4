#include "kernels/conv/conv.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "kernels/conv/conv_reference.h"
#include "test/bf16.h"
#include "test/gradient.h"
#include "test/guarded_buffer.h"
#include "test/kernels.h"
#include "test/random.h"
#include "test/sizes.h"
#include "test/tolerance.h"

namespace tvn::test {
namespace {

enum class Pad { same, valid };

ConvShape shape(Shape x, int64_t output_channels, int kt, int kh, int kw, int st, int sh, int sw, Pad pad = Pad::same) {
  const auto axis = [&](int64_t n, int k, int s) { return pad == Pad::same ? same_axis(n, k, s) : valid_axis(n, k, s); };
  const WindowAxis t = axis(x.t, kt, st), h = axis(x.h, kh, sh), w = axis(x.w, kw, sw);
  return {x, {x.n, t.out, h.out, w.out, output_channels}, {kt, kh, kw, st, sh, sw, t.pad_front, h.pad_front, w.pad_front}};
}

std::string describe(const ConvShape& s) {
  const auto list = [](auto... values) { return ((std::to_string(values) + " ") + ...); };
  const Window& k = s.window;
  return "x " + list(s.x.n, s.x.t, s.x.h, s.x.w, s.x.c) + "y " + list(s.y.t, s.y.h, s.y.w, s.y.c) + "kernel " + list(k.kt, k.kh, k.kw) +
         "stride " + list(k.st, k.sh, k.sw) + "padding " + list(k.pt, k.ph, k.pw);
}

/** Data of one case, the tensors as misaligned as the case says, with the results of the f64 reference. */
struct Case {
  ConvShape s;
  size_t misalign;
  bool with_bias, with_residual, with_scale, accumulate;
  Function function;
  GuardedBuffer<float> x, w, bias, residual, scale, dy, dx_before;
  std::vector<double> y, y_bf16, dx, dw, db;

  Case(const ConvShape& of, Random& random)
      : s(of),
        misalign(hostile_misalignments[random.bits() % std::size(hostile_misalignments)]),
        with_bias(random.bits() % 4 != 0),
        with_residual(random.bits() % 2 != 0),
        with_scale(random.bits() % 3 == 0),
        accumulate(random.bits() % 2 != 0),
        function(static_cast<Function>(random.bits() % 4)),
        x(random.buffer(s.x.size(), misalign)),
        w(random.buffer(s.window.taps() * s.x.c * s.y.c, misalign)),
        bias(random.buffer(s.y.c, misalign)),
        residual(random.buffer(s.y.size(), misalign)),
        scale(random.buffer(s.y.n * s.y.c, misalign)),
        dy(random.buffer(s.y.size(), misalign)),
        dx_before(random.buffer(s.x.size(), misalign)),
        y(dy.size()),
        y_bf16(dy.size()),
        dx(to_double(dx_before)),
        dw(w.size()),
        db(bias.size()) {
    const std::vector<double> xd = to_double(x), wd = to_double(w), bd = to_double(bias), rd = to_double(residual), sd = to_double(scale),
                              dyd = to_double(dy);
    const auto reference = [&](const std::vector<double>& of_x, const std::vector<double>& of_w, std::vector<double>& result) {
      conv_forward_reference(s, of_x.data(), of_w.data(), with_bias ? bd.data() : nullptr, with_residual ? rd.data() : nullptr, function,
                             result.data(), with_scale ? sd.data() : nullptr);
    };
    reference(xd, wd, y);
    reference(bf16_to_double(x), bf16_to_double(w), y_bf16);
    conv_data_gradient_reference(s, dyd.data(), wd.data(), accumulate, dx.data());
    conv_weight_gradient_reference(s, xd.data(), dyd.data(), dw.data(), db.data());
  }

  GuardedBuffer<float> forward(const ConvKernel<ConvForwardArgs>& kernel, ThreadPool& pool, const Tiling& tiling = {}) const {
    ConvShape shape = s;
    shape.tiling = tiling;
    GuardedBuffer<float> packed(static_cast<int64_t>(kernel.packed_size(shape))),
        scratch(static_cast<int64_t>(kernel.scratch_size(shape, pool.threads()))), out(s.y.size(), misalign);
    kernel.pack(shape, w.data(), packed.data(), pool);
    kernel.run(shape,
               {x.data(), packed.data(), with_bias ? bias.data() : nullptr, with_residual ? residual.data() : nullptr, function, out.data(),
                scratch.data(), with_scale ? scale.data() : nullptr},
               pool);
    return out;
  }

  GuardedBuffer<float> data_gradient(const ConvKernel<ConvDataGradientArgs>& kernel, ThreadPool& pool) const {
    GuardedBuffer<float> packed(pack_size(kernel)), scratch(scratch_size(kernel, pool)), out(s.x.size(), misalign);
    if (accumulate) std::copy_n(dx_before.data(), out.size(), out.data());
    kernel.pack(s, w.data(), packed.data(), pool);
    kernel.run(s, {dy.data(), packed.data(), accumulate, out.data(), scratch.data()}, pool);
    return out;
  }

  /** dw, and db where it is asked for. */
  std::pair<GuardedBuffer<float>, GuardedBuffer<float>> weight_gradient(const ConvKernel<ConvWeightGradientArgs>& kernel,
                                                                        ThreadPool& pool) const {
    GuardedBuffer<float> scratch(scratch_size(kernel, pool)), out(static_cast<int64_t>(w.size()), misalign), out_bias(s.y.c, misalign);
    kernel.run(s, {x.data(), dy.data(), out.data(), with_bias ? out_bias.data() : nullptr, scratch.data()}, pool);
    return {std::move(out), std::move(out_bias)};
  }

 private:
  template <class Args>
  int64_t pack_size(const ConvKernel<Args>& kernel) const {
    return static_cast<int64_t>(kernel.packed_size(s));
  }
  template <class Args>
  int64_t scratch_size(const ConvKernel<Args>& kernel, ThreadPool& pool) const {
    return static_cast<int64_t>(kernel.scratch_size(s, pool.threads()));
  }
};

/** Calls f(pool, result of one thread or null) for pools of 1, 2 and 3 threads. */
template <class Run>
auto same_for_all_thread_counts(const Run& run) {
  ThreadPool one(1);
  auto want = run(one);
  for (const int threads : {2, 3}) {
    SCOPED_TRACE(testing::Message() << threads << " threads");
    ThreadPool pool(threads);
    expect_same_bits(run(pool), want);
  }
  return want;
}

/** For one chain of n products of values uniform in [−1, 1): it walks as far as sqrt(n) / 3, and every step rounds. */
Tolerance chain(int64_t n) { return {.terms = static_cast<double>(n), .scale = std::fmax(1, std::sqrt(static_cast<double>(n)) / 3)}; }

/** Winograd's transforms pass through numbers larger than its results: rounding errors are up to eight times larger, as from 64 times the
 * terms. */
template <class Args>
int64_t spread(const ConvKernel<Args>& kernel) {
  return kernel.supports ? 64 : 1;
}

void check(const ConvShape& s, Random& random) {
  SCOPED_TRACE(describe(s));
  const Case c(s, random);
  const int64_t with_bias_and_residual = s.window.taps() * s.x.c + 2, with_before = s.window.taps() * s.y.c + 1;
  for_each_kernel(conv_forward_kernels(), [&](const auto& kernel) {
    if (kernel.supports && !kernel.supports(s)) return;
    const auto y = same_for_all_thread_counts([&](ThreadPool& pool) { return c.forward(kernel, pool); });
    for (const Tiling& tiling : kernel.tilings) {
      SCOPED_TRACE(testing::Message() << "panels " << tiling.panel << ", blocks " << tiling.block << ", fetches y " << tiling.fetch_y);
      ThreadPool pool(1 + static_cast<int>(random.bits() % 3));
      expect_same_bits(c.forward(kernel, pool, tiling), y);
    }
    const bool bf16 = kernel.precision == Precision::bf16, sums_are_rounded = rounds_sums(kernel);
    if (!sums_are_rounded) expect_close(y, bf16 ? c.y_bf16 : c.y, chain(with_bias_and_residual * spread(kernel)));
    if (bf16) expect_close(y, c.y, bf16_products(static_cast<double>(with_bias_and_residual), sums_are_rounded));
  });
  for_each_kernel(conv_data_gradient_kernels(), [&](const auto& kernel) {
    if (kernel.supports && !kernel.supports(s)) return;
    const auto dx = same_for_all_thread_counts([&](ThreadPool& pool) { return c.data_gradient(kernel, pool); });
    expect_close(dx, c.dx, chain(with_before * spread(kernel)));
  });
  for_each_kernel(conv_weight_gradient_kernels(), [&](const auto& kernel) {
    const auto dw = same_for_all_thread_counts([&](ThreadPool& pool) { return c.weight_gradient(kernel, pool).first; });
    expect_close(dw, c.dw, chain(s.y.rows() + 1));
    if (!c.with_bias) return;
    const auto db = same_for_all_thread_counts([&](ThreadPool& pool) { return c.weight_gradient(kernel, pool).second; });
    expect_close(db, c.db, chain(s.y.rows() + 1));
  });
}

constexpr int64_t channels[] = {1, 2, 3, 5, 8, 15, 16, 17, 24, 31, 33, 48, 64, 65};

TEST(Conv, EveryPairOfChannels) {
  Random random;
  for (const int64_t c : channels)
    for (const int64_t oc : channels) check(shape({1, 1, 3, 5, c}, oc, 1, 3, 3, 1, 1, 1), random);
}

TEST(Conv, RandomShapes) {
  Random random;
  const auto one_of = [&](auto... values) {
    const int list[] = {values...};
    return list[random.bits() % sizeof...(values)];
  };
  for (int i = 0; i < 150; i++) {
    const auto length = [&] { return random.integer(1, 13); };
    const Shape x{random.integer(1, 3), random.integer(1, 5), length(), length(), channels[random.bits() % 10]};
    const int64_t oc = channels[random.bits() % 10];
    const Pad pad = random.bits() % 3 ? Pad::same : Pad::valid;
    ConvShape s = shape(x, oc, one_of(1, 1, 2, 3, 5), one_of(1, 2, 3, 4, 5, 7), one_of(1, 2, 3, 4, 5, 7), one_of(1, 1, 2, 3),
                        one_of(1, 1, 2, 3, 4), one_of(1, 1, 2, 3, 4), pad);
    if (pad == Pad::same && random.bits() % 4 == 0) {  // any padding is allowed, even more than the kernel is long
      s.window.pt = random.integer(0, 4);
      s.window.ph = random.integer(0, 8);
      s.window.pw = random.integer(0, 8);
    }
    check(s, random);
  }
}

TEST(Conv, ManyBlocksChunksAndPanels) {
  Random random;
  check(shape({1, 1, 67, 61, 3}, 8, 1, 3, 3, 1, 2, 2), random);
  check(shape({2, 3, 29, 31, 8}, 8, 1, 3, 3, 1, 1, 1), random);
  check(shape({1, 2, 23, 37, 24}, 24, 1, 5, 5, 1, 1, 1), random);
  check(shape({3, 7, 9, 11, 16}, 24, 5, 1, 1, 2, 1, 1), random);
  check(shape({2, 4, 8, 8, 33}, 17, 3, 3, 3, 1, 2, 2), random);
  check(shape({1, 1, 7, 5, 130}, 260, 1, 3, 3, 1, 1, 1), random);
  check(shape({1, 1, 40, 40, 64}, 72, 1, 1, 1, 1, 1, 1), random);
}

TEST(Conv, PointwiseWithPagesBetweenPixels) {
  Random random;
  check(shape({1, 1, 5, 7, 1024}, 40, 1, 1, 1, 1, 1, 1), random);
  check(shape({1, 3, 6, 5, 24}, 1024, 1, 1, 1, 1, 2, 2), random);
  check(shape({1, 4, 3, 3, 1024}, 8, 3, 1, 1, 1, 1, 1), random);
}

TEST(Conv, WeightsTooManyForCopiesOfTheGradient) {
  Random random;
  check(shape({1, 1, 1, 1, 700}, 801, 1, 1, 1, 1, 1, 1), random);
  check(shape({1, 1, 30, 30, 370}, 370, 1, 3, 3, 1, 4, 4), random);
}

TEST(Conv, OneWindowLargerThanABlock) {
  Random random;
  check(shape({1, 5, 5, 5, 700}, 3, 5, 5, 5, 2, 2, 2), random);
}

TEST(Conv, NoOutputs) {
  Random random;
  check(shape({1, 1, 2, 9, 3}, 5, 1, 3, 3, 1, 1, 1, Pad::valid), random);
}

/** Layers like those of TVN-1 to TVN-4, on smaller maps, behind a relu. In bf16 two digits are left. */
TEST(Conv, WinogradAndStrassenKeepFiveDigits) {
  Random random;
  for (const ConvShape& s : {shape({1, 1, 22, 22, 64}, 64, 1, 4, 4, 1, 1, 1), shape({1, 1, 40, 40, 64}, 64, 1, 4, 4, 1, 2, 2),
                             shape({1, 1, 20, 20, 64}, 64, 1, 5, 5, 1, 1, 1), shape({1, 1, 36, 36, 64}, 64, 1, 5, 5, 1, 2, 2),
                             shape({1, 1, 10, 10, 256}, 256, 1, 3, 3, 1, 1, 1), shape({1, 1, 10, 11, 1024}, 256, 1, 1, 1, 1, 1, 1),
                             shape({1, 1, 10, 11, 250}, 520, 1, 1, 1, 1, 1, 1), shape({1, 1, 18, 18, 1280}, 1280, 1, 1, 1, 1, 1, 1)}) {
    SCOPED_TRACE(describe(s));
    auto x = random.buffer(s.x.size()), w = random.buffer(s.window.taps() * s.x.c * s.y.c);
    for (float& value : x) value = std::fmax(value, 0.0f);
    const std::vector<double> xd = to_double(x), wd = to_double(w);
    std::vector<double> want(static_cast<size_t>(s.y.size()));
    conv_forward_reference<double>(s, xd.data(), wd.data(), nullptr, nullptr, Function::none, want.data());
    double largest = 0;
    for (const double y : want) largest = std::max(largest, std::fabs(y));
    ThreadPool pool(1);
    for_each_kernel(conv_forward_kernels(), [&](const auto& kernel) {
      if (!kernel.supports || !kernel.supports(s)) return;
      const bool bf16 = kernel.precision == Precision::bf16;
      if (!bf16) EXPECT_TRUE(kernel.pays(s, Precision::f32));
      GuardedBuffer<float> packed(static_cast<int64_t>(kernel.packed_size(s))), scratch(static_cast<int64_t>(kernel.scratch_size(s, 1))),
          y(s.y.size());
      kernel.pack(s, w.data(), packed.data(), pool);
      kernel.run(s, {x.data(), packed.data(), nullptr, nullptr, Function::none, y.data(), scratch.data()}, pool);
      double error = 0;
      for (size_t i = 0; i < y.size(); i++) error = std::max(error, std::fabs(static_cast<double>(y[i]) - want[i]));
      EXPECT_LE(error, (bf16 ? 1e-2 : 1e-5) * largest);
    });
  }
}

TEST(Conv, DirectEverywhere) {
  const ConvShape s = shape({1, 1, 22, 22, 64}, 64, 1, 4, 4, 1, 1, 1);
  const std::string before = select(conv_forward_kernels(), allowed_isa(), s).name;
  setenv("TVN_CONVOLUTION", "direct", 1);
  const std::string off = select(conv_forward_kernels(), allowed_isa(), s).name;
  unsetenv("TVN_CONVOLUTION");
  EXPECT_EQ(before.find("winograd") != std::string::npos, allowed_isa() >= Isa::avx2) << before;
  EXPECT_EQ(off.find("winograd"), std::string::npos) << off;
}

TEST(Conv, Bf16IsChosenWhereItIsAskedForAndFaster) {
  const auto chosen = [](const ConvShape& s, Precision precision) {
    return std::string(select(conv_forward_kernels(), allowed_isa(), s, precision).name);
  };
  const auto is_bf16 = [&](const ConvShape& s, Precision precision) { return chosen(s, precision).find("bf16") != std::string::npos; };
  const ConvShape pointwise = shape({1, 1, 22, 22, 64}, 64, 1, 1, 1, 1, 1, 1), strided = shape({1, 1, 56, 56, 64}, 64, 1, 4, 4, 1, 2, 2),
                  clip = shape({1, 1, 22, 22, 3}, 64, 1, 1, 1, 1, 1, 1), winograd = shape({1, 1, 56, 56, 64}, 64, 1, 5, 5, 1, 1, 1);
  const bool possible = allowed_isa() >= Isa::avx512_bf16;
  EXPECT_EQ(is_bf16(pointwise, Precision::bf16), possible);
  EXPECT_EQ(is_bf16(strided, Precision::bf16), possible);
  EXPECT_FALSE(is_bf16(clip, Precision::bf16));
  EXPECT_FALSE(is_bf16(winograd, Precision::bf16));
  EXPECT_EQ(chosen(winograd, Precision::bf16), chosen(winograd, Precision::f32));
  for (const ConvShape& s : {pointwise, strided, clip, winograd}) EXPECT_FALSE(is_bf16(s, Precision::f32));
  const ConvShape large = shape({1, 1, 22, 22, 1024}, 1024, 1, 1, 1, 1, 1, 1);
  const auto by_strassen = [](const std::string& name) { return name.find("bf16_strassen") != std::string::npos; };
  const auto chosen_sum = [&] {
    return std::string(select(conv_sum_kernels(), allowed_isa(), ConvSumShape{pointwise, large}, Precision::bf16).name);
  };
  EXPECT_EQ(by_strassen(chosen(large, Precision::bf16)), possible);
  EXPECT_EQ(by_strassen(chosen_sum()), possible);
  EXPECT_FALSE(by_strassen(chosen(pointwise, Precision::bf16)));
  setenv("TVN_CONVOLUTION", "direct", 1);
  EXPECT_FALSE(by_strassen(chosen(large, Precision::bf16)));
  EXPECT_FALSE(by_strassen(chosen_sum()));
  unsetenv("TVN_CONVOLUTION");
  const ConvSumShape sum{pointwise, pointwise};
  EXPECT_EQ(select(conv_sum_kernels(), allowed_isa(), sum, Precision::f32).precision, Precision::f32);
  EXPECT_EQ(select(conv_sum_kernels(), allowed_isa(), sum, Precision::bf16).precision == Precision::bf16, possible);
}

TEST(Conv, Bf16RoundsToTheNearestEven) {
  Random random;
  constexpr float infinity = std::numeric_limits<float>::infinity();
  std::vector<float> values = {0,         -0.0f,    1,         0x1.01p0f,   0x1.03p0f,   0x1.010002p0f,   0x1.00fffep0f,
                               0x1p-140f, infinity, -infinity, 0x1.fep127f, 0x1.ffp127f, -0x1.fffffep127f};
  while (values.size() < 4099) {
    const float value = std::bit_cast<float>(static_cast<uint32_t>(random.bits()));
    if (!std::isnan(value)) values.push_back(value);
  }
  const int64_t count = static_cast<int64_t>(values.size());
  const ConvShape as_x = shape({1, 1, 1, count, 1}, 1, 1, 1, 1, 1, 1, 1), as_w = shape({1, 1, 1, 1, 1}, count, 1, 1, 1, 1, 1, 1);
  const float one = 1;
  ThreadPool pool(1);
  for_each_kernel(conv_forward_kernels(), [&](const auto& kernel) {
    if (kernel.precision != Precision::bf16 || rounds_sums(kernel)) return;
    const auto expect_rounded = [&](const ConvShape& s, const float* x, const float* w) {
      GuardedBuffer<float> packed(static_cast<int64_t>(kernel.packed_size(s))), scratch(static_cast<int64_t>(kernel.scratch_size(s, 1))),
          y(count);
      kernel.pack(s, w, packed.data(), pool);
      kernel.run(s, {x, packed.data(), nullptr, nullptr, Function::none, y.data(), scratch.data()}, pool);
      for (size_t i = 0; i < values.size(); i++) EXPECT_EQ(y[i], rounded_to_bf16(values[i])) << values[i];
    };
    expect_rounded(as_x, values.data(), &one);
    expect_rounded(as_w, &one, values.data());
  });
}

/** So are the sums of four that Strassen's algorithm rounds. */
TEST(Conv, Bf16IsExactForSmallWholeNumbers) {
  Random random;
  for (const ConvShape& s : {shape({1, 1, 9, 7, 64}, 64, 1, 1, 1, 1, 1, 1), shape({2, 2, 9, 9, 250}, 130, 1, 1, 1, 1, 2, 2),
                             shape({1, 3, 7, 11, 33}, 17, 1, 1, 1, 1, 1, 1), shape({1, 2, 8, 9, 24}, 40, 3, 3, 3, 1, 2, 1)}) {
    SCOPED_TRACE(describe(s));
    auto x = random.buffer(s.x.size()), w = random.buffer(s.window.taps() * s.x.c * s.y.c);
    for (auto* values : {&x, &w})
      for (float& value : *values) value = std::round(value * 16);
    std::vector<float> want(static_cast<size_t>(s.y.size()));
    conv_forward_reference<float>(s, x.data(), w.data(), nullptr, nullptr, Function::none, want.data());
    ThreadPool pool(1);
    for_each_kernel(conv_forward_kernels(), [&](const auto& kernel) {
      if (kernel.precision != Precision::bf16 || (kernel.supports && !kernel.supports(s))) return;
      GuardedBuffer<float> packed(static_cast<int64_t>(kernel.packed_size(s))), scratch(static_cast<int64_t>(kernel.scratch_size(s, 1))),
          y(s.y.size());
      kernel.pack(s, w.data(), packed.data(), pool);
      kernel.run(s, {x.data(), packed.data(), nullptr, nullptr, Function::none, y.data(), scratch.data()}, pool);
      for (size_t i = 0; i < y.size(); i++) ASSERT_EQ(y[i], want[i]) << "element " << i;
    });
  }
}

TEST(Conv, NanSurvivesEveryFunction) {
  const ConvShape s = shape({1, 1, 1, 1, 1}, 3, 1, 1, 1, 1, 1, 1);
  const float x = std::numeric_limits<float>::quiet_NaN(), w[] = {1, -1, 0};
  ThreadPool pool(1);
  for_each_kernel(conv_forward_kernels(), [&](const auto& kernel) {
    if (kernel.supports && !kernel.supports(s)) return;
    for (const Function function : {Function::none, Function::relu, Function::hswish, Function::sigmoid}) {
      GuardedBuffer<float> packed(static_cast<int64_t>(kernel.packed_size(s))), scratch(static_cast<int64_t>(kernel.scratch_size(s, 1))),
          y(3);
      kernel.pack(s, w, packed.data(), pool);
      std::fill(y.begin(), y.end(), 0.0f);
      kernel.run(s, {&x, packed.data(), nullptr, nullptr, function, y.data(), scratch.data()}, pool);
      for (const float value : y) EXPECT_TRUE(std::isnan(value)) << "function " << static_cast<int>(function);
    }
  });
}

TEST(Conv, NanStaysInItsPosition) {  // in the tile, with Winograd
  for (const int64_t c : {1, 3, 8}) {
    const ConvShape s = shape({1, 1, 1, 4, c}, 5, 1, 1, 1, 1, 1, 1);
    Random random;
    auto x = random.buffer(s.x.size()), w = random.buffer(c * 5);
    for (int64_t i = 0; i < c; i++) x[static_cast<size_t>(c + i)] = std::numeric_limits<float>::quiet_NaN();
    ThreadPool pool(1);
    for_each_kernel(conv_forward_kernels(), [&](const auto& kernel) {
      if (kernel.supports) return;
      GuardedBuffer<float> packed(static_cast<int64_t>(kernel.packed_size(s))), scratch(static_cast<int64_t>(kernel.scratch_size(s, 1)));
      GuardedBuffer<float> y(s.y.size());
      kernel.pack(s, w.data(), packed.data(), pool);
      kernel.run(s, {x.data(), packed.data(), nullptr, nullptr, Function::none, y.data(), scratch.data()}, pool);
      for (size_t i = 0; i < y.size(); i++) EXPECT_EQ(std::isnan(y[i]), i / 5 == 1) << "element " << i << ", " << c << " channels";
    });
  }
}

TEST(Conv, GradientsOfTheReferenceMatchFiniteDifferences) {
  Random random;
  for (const ConvShape& s : {shape({2, 3, 4, 5, 2}, 3, 2, 3, 2, 2, 2, 1), shape({1, 2, 5, 4, 3}, 2, 1, 2, 5, 1, 3, 2),
                             shape({1, 3, 3, 3, 1}, 2, 3, 1, 1, 1, 1, 1, Pad::valid)}) {
    SCOPED_TRACE(describe(s));
    auto x = random.buffer<double>(s.x.size()), w = random.buffer<double>(s.window.taps() * s.x.c * s.y.c),
         b = random.buffer<double>(s.y.c), r = random.buffer<double>(s.y.size());
    std::vector<double> y(r.size()), dx(x.size()), dw(w.size()), db(b.size());
    const auto loss = [&] {
      conv_forward_reference<double>(s, x.data(), w.data(), b.data(), nullptr, Function::none, y.data());
      return dot(y, r);
    };
    conv_data_gradient_reference<double>(s, r.data(), w.data(), false, dx.data());
    conv_weight_gradient_reference<double>(s, x.data(), r.data(), dw.data(), db.data());
    expect_gradient("x", x, dx, loss);
    expect_gradient("w", w, dw, loss);
    expect_gradient("b", b, db, loss);
  }
}

}  // namespace
}  // namespace tvn::test
