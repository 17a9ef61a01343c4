#include "kernels/pool/pool.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "kernels/pool/pool_reference.h"
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

struct Sizes {
  int t, h, w;
};

PoolShape make_shape(Shape x, Sizes k, Sizes stride, bool same, Pooling pooling) {
  const auto axis = [&](int64_t n, int size, int step) { return same ? same_axis(n, size, step) : valid_axis(n, size, step); };
  const WindowAxis t = axis(x.t, k.t, stride.t), h = axis(x.h, k.h, stride.h), w = axis(x.w, k.w, stride.w);
  PoolShape s;
  s.x = x;
  s.y = {x.n, t.out, h.out, w.out, x.c};
  s.window = {k.t, k.h, k.w, stride.t, stride.h, stride.w, t.pad_front, h.pad_front, w.pad_front};
  s.pooling = pooling;
  return s;
}

std::string describe(const PoolShape& s) {
  const Window& k = s.window;
  return testing::PrintToString(std::vector<int64_t>{s.x.n, s.x.t, s.x.h, s.x.w, s.x.c, k.kt, k.kh, k.kw, k.st, k.sh, k.sw, k.pt, k.ph,
                                                     k.pw, s.y.t, s.y.h, s.y.w}) +
         (s.pooling == Pooling::max ? " max" : " avg") + " = x (N T H W C), kernel, stride, padding, y (T H W)";
}

/** Random shapes in which kernels and strides may exceed the map, then those that real networks have. */
std::vector<PoolShape> shapes(Random& random, int count) {
  std::vector<PoolShape> all;
  for (int i = 0; i < count; i++) {
    const auto size = [&](int64_t most) { return static_cast<int>(random.integer(1, most)); };
    const Shape x = {size(3), size(5), size(9), size(17),
                     test::hostile_channels[random.integer(0, std::ssize(test::hostile_channels) - 1)]};
    all.push_back(
        make_shape(x, {size(4), size(5), size(5)}, {size(4), size(4), size(4)}, random.integer(0, 3) > 0, static_cast<Pooling>(i % 2)));
  }
  for (const Pooling pooling : {Pooling::max, Pooling::avg}) {
    for (const int64_t c : test::hostile_channels) {
      all.push_back(make_shape({2, 2, 6, 10, c}, {1, 2, 2}, {1, 2, 2}, true, pooling));
      all.push_back(make_shape({2, 5, 3, 2, c}, {3, 1, 1}, {1, 1, 1}, true, pooling));
    }
    all.push_back(make_shape({9, 4, 12, 11, 24}, {1, 3, 3}, {1, 2, 2}, true, pooling));
    all.push_back(make_shape({1, 4, 12, 11, 24}, {2, 1, 1}, {2, 1, 1}, true, pooling));
    all.push_back(
        make_shape({10, 5, 13, 17, 24}, {2, 1, 1}, {2, 1, 1}, false, pooling));  // a frame that no window holds, several blocks of channels
    all.push_back(make_shape({2, 2, 7, 9, 5}, {1, 2, 1}, {1, 2, 1}, true, pooling));    // W alone is merged
    all.push_back(make_shape({1, 2, 7, 9, 200}, {1, 3, 3}, {1, 1, 1}, true, pooling));  // few units, so blocks of channels
    all.push_back(make_shape({1, 2, 2, 2, 5}, {3, 3, 3}, {1, 1, 1}, false, pooling));   // no output
  }
  return all;
}

/** Every number of threads must give the bits of the first. */
void expect_same(std::vector<float>& first, const GuardedBuffer<float>& got) {
  if (first.empty()) first.assign(got.begin(), got.end());
  expect_same_bits(got, first);
}

/** Values on a coarse grid, so that windows hold equal elements. */
GuardedBuffer<float> with_ties(Random& random, int64_t size) {
  GuardedBuffer<float> x(size, 1);
  for (float& value : x) value = static_cast<float>(random.integer(-2, 2));
  return x;
}

TEST(Pool, ForwardAgreesWithF64) {
  Random random;
  for (const PoolShape& s : shapes(random, 80)) {
    SCOPED_TRACE(describe(s));
    const auto x = random.buffer(s.x.size(), 1);
    std::vector<double> want(static_cast<size_t>(s.y.size()));
    pool_forward_reference(s, to_double(x).data(), want.data());
    for_each_kernel(pool_forward_kernels(), [&](const auto& kernel) {
      std::vector<float> first;
      for_each_thread_count([&](ThreadPool& pool) {
        GuardedBuffer<float> y(s.y.size(), 3);
        kernel.run(s, {x.data(), y.data()}, pool);
        if (s.pooling == Pooling::max)
          expect_same_bits(y, std::vector<float>(want.begin(), want.end()));
        else
          expect_close(y, want, {.terms = static_cast<double>(s.window.taps())});
        expect_same(first, y);
      });
    });
  }
}

TEST(Pool, BackwardAgreesWithF64) {
  Random random;
  int turn = 0;
  for (const PoolShape& s : shapes(random, 80)) {
    SCOPED_TRACE(describe(s));
    const auto x = turn++ % 2 ? with_ties(random, s.x.size()) : random.buffer(s.x.size());
    const auto dy = random.buffer(s.y.size()), before = random.buffer(s.x.size());
    std::vector<float> y(static_cast<size_t>(s.y.size()));
    pool_forward_reference(s, x.data(), y.data());
    const bool is_max = s.pooling == Pooling::max;
    for (const bool accumulate : {false, true}) {
      SCOPED_TRACE(accumulate ? "accumulate" : "overwrite");
      std::vector<double> want = to_double(before);
      pool_backward_reference(s, to_double(x).data(), to_double(y).data(), to_double(dy).data(), accumulate, want.data());
      for_each_kernel(pool_backward_kernels(), [&](const auto& kernel) {
        std::vector<float> first;
        for_each_thread_count([&](ThreadPool& pool) {
          GuardedBuffer<float> dx(s.x.size(), 5);
          if (accumulate) std::copy(before.begin(), before.end(), dx.begin());
          kernel.run(s, {is_max ? x.data() : nullptr, is_max ? y.data() : nullptr, dy.data(), accumulate, dx.data()}, pool);
          expect_close(dx, want, {.terms = static_cast<double>(s.window.taps() + 1)});
          expect_same(first, dx);
        });
      });
    }
  }
}

TEST(Pool, AMaximumSeesEveryNan) {
  const PoolShape s = make_shape({1, 2, 6, 7, 19}, {2, 3, 3}, {1, 2, 2}, true, Pooling::max);
  Random random;
  auto x = random.buffer(s.x.size());
  for (int i = 0; i < 40; i++) x[static_cast<size_t>(random.integer(0, s.x.size() - 1))] = std::nanf("");
  x[0] = -INFINITY;
  std::vector<double> want(static_cast<size_t>(s.y.size()));
  pool_forward_reference(s, to_double(x).data(), want.data());
  const auto nans = std::count_if(want.begin(), want.end(), [](double v) { return std::isnan(v); });
  EXPECT_GT(nans, 40);
  EXPECT_LT(nans, std::ssize(want));
  for_each_kernel(pool_forward_kernels(), [&](const auto& kernel) {
    ThreadPool pool(1);
    GuardedBuffer<float> y(s.y.size());
    kernel.run(s, {x.data(), y.data()}, pool);
    expect_close(y, want, {});
  });
}

TEST(Pool, GradientsMatchFiniteDifferences) {
  Random random;
  for (const Pooling pooling : {Pooling::max, Pooling::avg})
    for (const PoolShape& s : {make_shape({1, 3, 5, 4, 2}, {2, 3, 3}, {1, 2, 1}, true, pooling),
                               make_shape({2, 2, 4, 5, 3}, {1, 2, 2}, {1, 2, 2}, false, pooling)}) {
      std::vector<double> x(static_cast<size_t>(s.x.size())), y(static_cast<size_t>(s.y.size())), dx(x.size());
      for (size_t i = 0; i < x.size(); i++) x[i] = static_cast<double>(i * 7919 % x.size()) / 100;  // distinct: 7919 is prime
      const auto dy = to_double(random.buffer(s.y.size()));
      pool_forward_reference(s, x.data(), y.data());
      pool_backward_reference(s, x.data(), y.data(), dy.data(), false, dx.data());
      test::expect_gradient("dx", x, dx, [&] {
        pool_forward_reference(s, x.data(), y.data());
        return test::dot(y, dy);
      });
    }
}

}  // namespace
}  // namespace tvn
