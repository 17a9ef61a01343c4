#include "kernels/depthwise/depthwise.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "kernels/depthwise/depthwise_reference.h"
#include "test/gradient.h"
#include "test/kernels.h"
#include "test/random.h"
#include "test/sizes.h"
#include "test/tolerance.h"

namespace tvn {
namespace {

using test::expect_close;
using test::expect_same_bits;
using test::for_each_kernel;
using test::for_each_thread_count;
using test::GuardedBuffer;
using test::Random;
using test::to_double;

DepthwiseShape make_shape(Shape x, int kh, int kw, int sh, int sw, bool same) {
  DepthwiseShape s;
  const WindowAxis h = same ? same_axis(x.h, kh, sh) : valid_axis(x.h, kh, sh), w = same ? same_axis(x.w, kw, sw) : valid_axis(x.w, kw, sw);
  s.x = x;
  s.y = {x.n, x.t, h.out, w.out, x.c};
  s.window = {1, kh, kw, 1, sh, sw, 0, h.pad_front, w.pad_front};
  return s;
}

std::string describe(const DepthwiseShape& s) {
  const Window& k = s.window;
  return testing::PrintToString(std::vector<int64_t>{s.x.n, s.x.t, s.x.h, s.x.w, s.x.c, k.kh, k.kw, k.sh, k.sw, k.ph, k.pw, s.y.h, s.y.w}) +
         " = x (N T H W C), kernel, stride, padding, y (H W)";
}

/** Every number of threads must give the bits of the first. */
void expect_same(std::vector<float>& first, const GuardedBuffer<float>& got) {
  if (first.empty()) first.assign(got.begin(), got.end());
  expect_same_bits(got, first);
}

/** Random shapes in which kernels and strides may exceed the map, then the cases that no draw may miss. */
std::vector<DepthwiseShape> shapes(Random& random, int count) {
  std::vector<DepthwiseShape> all;
  const auto channels = [&] { return test::hostile_channels[random.integer(0, std::ssize(test::hostile_channels) - 1)]; };
  for (int i = 0; i < count; i++) {
    const auto side = [&] { return random.integer(0, 3) ? random.integer(1, 13) : random.integer(14, 29); };
    const auto small = [&](int64_t most) { return static_cast<int>(random.integer(1, most)); };
    const Shape x = {random.integer(1, 2), random.integer(1, 3), side(), side(), channels()};
    all.push_back(make_shape(x, small(7), small(7), small(4), small(4), random.integer(0, 3) > 0));
  }
  for (const int k : {3, 5})
    for (const int64_t c : test::hostile_channels) all.push_back(make_shape({1, 2, 9, 17, c}, k, k, 1, 1, true));
  all.push_back(make_shape({1, 1, 2, 3, 17}, 7, 7, 1, 1, true));     // kernel larger than the map
  all.push_back(make_shape({1, 1, 11, 10, 8}, 2, 2, 4, 3, false));   // stride larger than the kernel
  all.push_back(make_shape({1, 1, 1, 1041, 3}, 1, 9, 1, 1, true));   // more tiles than are described at a time
  all.push_back(make_shape({1, 1, 3, 4, 5}, 5, 5, 1, 1, false));     // no output
  all.push_back(make_shape({40, 1, 3, 3, 16}, 3, 3, 1, 1, true));    // more images than chunks
  all.push_back(make_shape({1, 2, 80, 60, 33}, 3, 3, 2, 2, true));   // beyond the near caches
  all.push_back(make_shape({1, 1, 19, 29, 256}, 4, 4, 1, 1, true));  // channels in blocks, from here on
  all.push_back(make_shape({2, 1, 13, 31, 256}, 5, 7, 2, 1, true));
  all.push_back(make_shape({1, 1, 43, 40, 256}, 2, 2, 4, 3, false));
  return all;
}

TEST(Depthwise, ForwardAgreesWithF64) {
  Random random;
  int turn = 0;
  for (const DepthwiseShape& s : shapes(random, 60)) {
    SCOPED_TRACE(describe(s));
    const Function function = static_cast<Function>(turn++ % 4);
    const auto x = random.buffer(s.x.size(), turn % 3), w = random.buffer(s.window.taps() * s.x.c), b = random.buffer(s.x.c, 1);
    const float* bias = turn % 2 ? b.data() : nullptr;
    const std::vector<double> dx = to_double(x), dw = to_double(w), db = to_double(b);
    std::vector<double> want(static_cast<size_t>(s.y.size()));
    depthwise_forward_reference(s, dx.data(), dw.data(), bias ? db.data() : nullptr, function, want.data());
    for_each_kernel(depthwise_forward_kernels(), [&](const auto& kernel) {
      std::vector<float> first;
      for_each_thread_count([&](ThreadPool& pool) {
        GuardedBuffer<float> y(s.y.size(), 3);
        kernel.run(s, {x.data(), w.data(), bias, function, y.data()}, pool);
        expect_close(y, want, {.terms = static_cast<double>(s.window.taps() + 1)});
        expect_same(first, y);
      });
    });
  }
}

TEST(Depthwise, DataGradientAgreesWithF64) {
  Random random;
  for (const DepthwiseShape& s : shapes(random, 60)) {
    SCOPED_TRACE(describe(s));
    const auto dy = random.buffer(s.y.size(), 1), w = random.buffer(s.window.taps() * s.x.c), before = random.buffer(s.x.size());
    for (const bool accumulate : {false, true}) {
      SCOPED_TRACE(accumulate ? "accumulate" : "overwrite");
      std::vector<double> want = to_double(before);
      depthwise_data_gradient_reference(s, to_double(dy).data(), to_double(w).data(), accumulate, want.data());
      for_each_kernel(depthwise_data_gradient_kernels(), [&](const auto& kernel) {
        std::vector<float> first;
        for_each_thread_count([&](ThreadPool& pool) {
          GuardedBuffer<float> dx(s.x.size(), 5);
          if (accumulate) std::copy(before.begin(), before.end(), dx.begin());
          kernel.run(s, {dy.data(), w.data(), accumulate, dx.data()}, pool);
          expect_close(dx, want, {.terms = static_cast<double>(s.window.taps() + 1)});
          expect_same(first, dx);
        });
      });
    }
  }
}

TEST(Depthwise, WeightGradientAgreesWithF64) {
  Random random;
  int turn = 0;
  for (const DepthwiseShape& s : shapes(random, 60)) {
    SCOPED_TRACE(describe(s));
    const auto x = random.buffer(s.x.size()), dy = random.buffer(s.y.size(), 1);
    const bool with_bias = turn++ % 2;
    const int64_t size = s.window.taps() * s.x.c;
    std::vector<double> want(static_cast<size_t>(size)), want_bias(static_cast<size_t>(s.x.c));
    depthwise_weight_gradient_reference(s, to_double(x).data(), to_double(dy).data(), want.data(), want_bias.data());
    for_each_kernel(depthwise_weight_gradient_kernels(), [&](const auto& kernel) {
      std::vector<float> first, first_bias;
      for_each_thread_count([&](ThreadPool& pool) {
        GuardedBuffer<float> dw(size, 1), db(s.x.c), scratch(static_cast<int64_t>(depthwise_weight_gradient_scratch(s)));
        kernel.run(s, {x.data(), dy.data(), dw.data(), with_bias ? db.data() : nullptr, scratch.data()}, pool);
        const test::Tolerance tolerance = {.terms = static_cast<double>(s.y.rows() + 1)};
        expect_close(dw, want, tolerance);
        if (with_bias) expect_close(db, want_bias, tolerance);
        expect_same(first, dw);
        if (with_bias) expect_same(first_bias, db);
      });
    });
  }
}

TEST(Depthwise, GradientsMatchFiniteDifferences) {
  Random random;
  for (const DepthwiseShape& s : {make_shape({1, 2, 5, 4, 3}, 3, 3, 1, 1, true), make_shape({2, 1, 7, 5, 2}, 3, 2, 2, 3, true),
                                  make_shape({1, 1, 5, 6, 2}, 4, 3, 1, 2, false)}) {
    auto x = to_double(random.buffer(s.x.size())), w = to_double(random.buffer(s.window.taps() * s.x.c)),
         b = to_double(random.buffer(s.x.c));
    const auto dy = to_double(random.buffer(s.y.size()));
    std::vector<double> y(dy.size()), dx(x.size()), dw(w.size()), db(b.size());
    const auto loss = [&] {
      depthwise_forward_reference(s, x.data(), w.data(), b.data(), Function::none, y.data());
      return test::dot(y, dy);
    };
    depthwise_data_gradient_reference(s, dy.data(), w.data(), false, dx.data());
    depthwise_weight_gradient_reference(s, x.data(), dy.data(), dw.data(), db.data());
    test::expect_gradient("dx", x, dx, loss);
    test::expect_gradient("dw", w, dw, loss);
    test::expect_gradient("db", b, db, loss);
  }
}

TEST(Depthwise, NanAndInfinityStayWhereTheyBelong) {
  const DepthwiseShape s = make_shape({1, 1, 5, 11, 20}, 3, 3, 1, 1, true);
  Random random;
  auto x = random.buffer(s.x.size());
  const auto w = random.buffer(s.window.taps() * s.x.c);
  x[0] = std::nanf("");                               // the top left position, channel 0
  x[static_cast<size_t>(s.x.size() - 1)] = INFINITY;  // the bottom right position, channel 19
  std::vector<double> want(static_cast<size_t>(s.y.size()));
  depthwise_forward_reference(s, to_double(x).data(), to_double(w).data(), static_cast<const double*>(nullptr), Function::none,
                              want.data());
  for_each_kernel(depthwise_forward_kernels(), [&](const auto& kernel) {
    ThreadPool pool(1);
    GuardedBuffer<float> y(s.y.size());
    kernel.run(s, {x.data(), w.data(), nullptr, Function::none, y.data()}, pool);
    expect_close(y, want, {.terms = 9});
  });
}

}  // namespace
}  // namespace tvn
