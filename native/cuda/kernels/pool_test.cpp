#include "cuda/kernels/pool.h"

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "cuda/test/compare.h"
#include "cuda/test/test.h"
#include "cuda/test/windows.h"

namespace tvn::cuda {
namespace {

using namespace test;
using Doubles = std::vector<double>;

constexpr double infinity = std::numeric_limits<double>::infinity();

PoolShape shape_of(const WindowCase& c, Pooling pooling) { return {c.x, c.y, c.window, pooling}; }

/** Random cases, in which kernels and strides may exceed the map, then those that no draw may miss. */
std::vector<WindowCase> cases(Random& random, int count) {
  std::vector<WindowCase> all;
  for (int i = 0; i < count; i++) {
    const auto small = [&](int most) { return random.integer(1, most); };
    const Int3 map{small(5), any_of(random, hostile_lengths), any_of(random, hostile_lengths)};
    const Int3 kernel{small(4), small(5), small(7)}, stride{small(4), small(4), small(4)};
    all.emplace_back(map, small(3), any_of(random, hostile_channels), kernel, stride, random.integer(0, 3) > 0);
  }
  for (const int channels : hostile_channels) {
    all.emplace_back(Int3{2, 5, 8}, 2, channels, Int3{1, 2, 2}, Int3{1, 2, 2}, false);
    all.emplace_back(Int3{5, 3, 2}, 1, channels, Int3{3, 1, 1}, Int3{1, 1, 1}, true);
  }
  all.emplace_back(Int3{3, 13, 13}, 2, 24, Int3{1, 3, 3}, Int3{1, 1, 1}, true);
  all.emplace_back(Int3{5, 8, 3}, 1, 16, Int3{2, 1, 1}, Int3{2, 1, 1}, false);  // a frame that no window holds
  all.emplace_back(Int3{2, 2, 2}, 1, 5, Int3{3, 3, 3}, Int3{1, 1, 1}, false);   // no output
  return all;
}

/** In f64. Sums of halves times one rounded share: magnitudes are those of the terms. */
struct Reference {
  Doubles y, dx, y_size, dx_size;
  std::vector<int> winner;

  Reference(const WindowCase& c, Pooling pooling, const Doubles& x, const Doubles& dy, const Doubles& dx_before)
      : y(c.y.size(), pooling == Pooling::max ? -infinity : 0),
        dx(dx_before),
        y_size(c.y.size()),
        dx_size(dx_before),
        winner(c.y.size(), -1) {
    Doubles count(y.size());
    for (double& size : dx_size) size = std::fabs(size);
    c.for_each_pair([&](size_t, size_t iy, int, int) { count[iy]++; });
    c.for_each_pair([&](size_t ix, size_t iy, int tap, int) {
      if (pooling == Pooling::avg) {
        y[iy] += x[ix] / count[iy], y_size[iy] += std::fabs(x[ix]) / count[iy];
      } else if (winner[iy] < 0 || x[ix] > y[iy] || (std::isnan(x[ix]) && !std::isnan(y[iy]))) {
        y[iy] = x[ix], winner[iy] = tap;
      }
    });
    c.for_each_pair([&](size_t ix, size_t iy, int tap, int) {
      const double d = pooling == Pooling::avg ? dy[iy] / count[iy] : winner[iy] == tap ? dy[iy] : 0;
      dx[ix] += d, dx_size[ix] += std::fabs(d);
    });
  }
};

/** x of few values, so that maxima are shared; now and then not finite. */
std::vector<half> random_x(Random& random, const WindowCase& c, bool wild) {
  std::vector<half> x = c.random_x(random);
  for (half& value : x) {
    if (random.integer(0, 1)) value = __float2half(std::round(2 * __half2float(value)) / 2);
    if (wild && random.integer(0, 9) == 0) value = __float2half(static_cast<float>(random.integer(0, 2) ? -infinity : NAN));
  }
  return x;
}

template <class F>
void for_each_case(const F& f) {
  Random random;
  for (const Pooling pooling : {Pooling::max, Pooling::avg}) {
    int number = 0;
    for (const WindowCase& c : cases(random, 120)) {
      const Trace trace((pooling == Pooling::max ? "max, " : "avg, ") + c.describe());
      f(random, c, pooling, number++);
    }
  }
}

CUDA_TEST(pool_forward_is_the_reference) {
  for_each_case([](Random& random, const WindowCase& c, Pooling pooling, int number) {
    const std::vector<half> values = random_x(random, c, number % 4 == 3);
    const Reference want(c, pooling, to_doubles(values), Doubles(c.y.size()), Doubles(c.x.size()));
    const bool keep = pooling == Pooling::max && number % 3 > 0;
    DeviceArray<half> x(values), y(c.y.size());
    DeviceArray<uint16_t> winners(keep ? c.y.size() : 0);
    pool_forward(shape_of(c, pooling), {x.data(), y.data(), keep ? winners.data() : nullptr}, nullptr);
    if (pooling == Pooling::max) {
      EXPECT(y.size() == want.y.size());
      const Doubles got = y.doubles();
      for (size_t i = 0; i < got.size(); i++) EXPECT(got[i] == want.y[i] || (std::isnan(got[i]) && std::isnan(want.y[i])));
    } else {
      expect_close(y.doubles(), want.y, {0x1p-11, static_cast<double>(taps(c.window) + 2)}, want.y_size);
    }
    if (!keep) return;
    const std::vector<uint16_t> got = winners.read();
    for (size_t i = 0; i < got.size(); i++) EXPECT(got[i] == want.winner[i]);
  });
}

CUDA_TEST(pool_backward_is_the_reference) {
  for_each_case([](Random& random, const WindowCase& c, Pooling pooling, int number) {
    const std::vector<half> values = random_x(random, c, false), gradients = c.random_y(random), before = c.random_x(random);
    const bool accumulate = number % 2;
    const Reference want(c, pooling, to_doubles(values), to_doubles(gradients), accumulate ? to_doubles(before) : Doubles(before.size()));
    const std::vector<uint16_t> taken(want.winner.begin(), want.winner.end());
    DeviceArray<uint16_t> winners(taken);
    DeviceArray<half> dy(gradients);
    std::vector<half> first;
    for (int run = 0; run < 2; run++) {
      DeviceArray<half> dx(before);
      pool_backward(shape_of(c, pooling), {pooling == Pooling::max ? winners.data() : nullptr, dy.data(), accumulate, dx.data()}, nullptr);
      if (run > 0) {
        expect_same_bits(dx, first);
        expect_close(dx.doubles(), want.dx, {0x1p-11, static_cast<double>(taps(c.window) + 2)}, want.dx_size);
      }
      first = dx.read();
    }
  });
}

/** ⟨y(x), dy⟩ = ⟨x, dx(dy)⟩, which holds for the maximum as well: it takes x where it won. */
CUDA_TEST(pool_references_are_adjoint) {
  for_each_case([](Random& random, const WindowCase& c, Pooling pooling, int) {
    const Doubles x = to_doubles(random_x(random, c, false)), dy = to_doubles(c.random_y(random));
    const Reference r(c, pooling, x, dy, Doubles(c.x.size()));
    EXPECT(std::fabs(dot(r.y, dy) - dot(x, r.dx)) < 1e-9 * (1 + std::fabs(dot(r.y, dy))));
  });
}

}  // namespace
}  // namespace tvn::cuda
