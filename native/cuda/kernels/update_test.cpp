#include "cuda/kernels/update.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "cuda/test/compare.h"
#include "cuda/test/test.h"

namespace tvn::cuda {
namespace {

using namespace test;

constexpr float rate = 0.05f, momentum = 0.9f, weight_decay = 1e-4f, running_decay = 0.99f;

/** Arenas on the device, and what the host knows of them. Between two segments lies a gap, which is never written. */
struct Arenas {
  std::vector<Segment> segments;
  size_t size;
  DeviceArray<Segment> segment;
  DeviceArray<float> w, v, g, step_rate{std::vector<float>{rate}};
  DeviceArray<half> halves;
  DeviceArray<ScalerState> scaler{std::vector<ScalerState>{{1024, 0, 0, 0}}};
  DeviceArray<int> overflow{std::vector<int>{0}};

  Arenas(Random& random, const std::vector<Segment>& all)
      : segments(all),
        size(static_cast<size_t>(all.back().first + all.back().count)),
        segment(all),
        w(random_rows<float>(random, 1, static_cast<int>(size), static_cast<int>(size))),
        v(random_rows<float>(random, 1, static_cast<int>(size), static_cast<int>(size))),
        g(size),
        halves(random_rows<half>(random, 1, static_cast<int>(size), static_cast<int>(size))) {}

  void step(const std::vector<float>& gradients, bool nesterov, int growth_interval) {
    check(cudaMemcpy(g.data(), gradients.data(), gradients.size() * sizeof(float), cudaMemcpyHostToDevice), "cudaMemcpy");
    update({static_cast<int>(segments.size()), segment.data(), static_cast<int64_t>(size), w.data(), v.data(), g.data(), halves.data(),
            step_rate.data(), momentum, weight_decay, running_decay, nesterov, growth_interval, scaler.data(), overflow.data()},
           nullptr);
    check(cudaDeviceSynchronize(), "update");
    EXPECT(overflow.read()[0] == 0);
  }
};

/** Small segments of every kind, many of them in a block of the grid, a gap, large ones that lie in many blocks. */
std::vector<Segment> mixed_segments() {
  std::vector<Segment> all;
  int64_t first = 0;
  const auto add = [&](int64_t count, SegmentKind kind, float bessel = 1) {
    all.push_back({first, count, kind, bessel});
    first += count;
  };
  for (int i = 0; i < 50; i++) {
    add(72 + i % 3 * 8, SegmentKind::decayed);
    add(8, SegmentKind::plain);
    add(8, SegmentKind::plain);
    add(8, SegmentKind::running_mean);
    add(8, SegmentKind::running_variance, static_cast<float>(16 + i) / static_cast<float>(15 + i));
  }
  first += 24;
  add(40000, SegmentKind::decayed);
  add(4096, SegmentKind::running_variance, 1.5f);
  add(8, SegmentKind::plain);
  return all;
}

/** Gradients times `scale`; statistics as they are; zeros in gaps. */
std::vector<float> gradients_of(Random& random, const Arenas& a, float scale) {
  std::vector<float> g(a.size);
  for (const Segment& s : a.segments) {
    const bool statistic = s.kind == SegmentKind::running_mean || s.kind == SegmentKind::running_variance;
    for (int64_t i = 0; i < s.count; i++)
      g[static_cast<size_t>(s.first + i)] = static_cast<float>(random.uniform(-1, 1)) * (statistic ? 1 : scale);
  }
  return g;
}

/** What one step makes of the values before it, in f64. */
struct Want {
  std::vector<double> w, v, w_size, v_size;

  Want(const Arenas& a, const std::vector<double>& old_w, const std::vector<double>& old_v, const std::vector<float>& g, double scale,
       bool nesterov)
      : w(old_w), v(old_v), w_size(old_w.size()), v_size(old_v.size()) {
    for (const Segment& s : a.segments)
      for (int64_t e = s.first; e < s.first + s.count; e++) {
        const size_t i = static_cast<size_t>(e);
        const double gradient = static_cast<double>(g[i]), keep = static_cast<double>(running_decay), m = static_cast<double>(momentum);
        if (s.kind == SegmentKind::running_mean || s.kind == SegmentKind::running_variance) {
          const double batch = gradient * (s.kind == SegmentKind::running_variance ? static_cast<double>(s.bessel) : 1);
          w[i] = keep * w[i] + (1 - keep) * batch;
          w_size[i] = std::fabs(old_w[i]) + std::fabs(batch);
          continue;
        }
        const double d = gradient / scale + (s.kind == SegmentKind::decayed ? static_cast<double>(weight_decay) * w[i] : 0);
        v[i] = m * v[i] + d;
        v_size[i] = std::fabs(m * old_v[i]) + std::fabs(d);
        w[i] -= static_cast<double>(rate) * (nesterov ? d + m * v[i] : v[i]);
        w_size[i] = std::fabs(old_w[i]) + v_size[i];
      }
  }
};

CUDA_TEST(update_is_the_reference_step_by_step) {
  Random random;
  for (const bool nesterov : {false, true}) {
    const Trace trace(nesterov ? "Nesterov" : "momentum");
    Arenas a(random, mixed_segments());
    for (int step = 0; step < 4; step++) {
      const double scale = static_cast<double>(a.scaler.read()[0].scale);
      const std::vector<float> g = gradients_of(random, a, static_cast<float>(scale));
      const Want want(a, a.w.doubles(), a.v.doubles(), g, scale, nesterov);
      const std::vector<half> halves_before = a.halves.read();
      a.step(g, nesterov, 3);
      const Tolerance tolerance = {0x1p-24, 0, 0, 1e-30};
      expect_close(a.w.doubles(), want.w, tolerance, want.w_size);
      expect_close(a.v.doubles(), want.v, tolerance, want.v_size);
      std::vector<half> halves = halves_before;
      const std::vector<float> w = a.w.read();
      for (const Segment& s : a.segments)
        for (int64_t i = s.first; i < s.first + s.count && s.kind <= SegmentKind::plain; i++)
          from_double(static_cast<double>(w[static_cast<size_t>(i)]), halves[static_cast<size_t>(i)]);
      expect_same_bits(a.halves, halves);
    }
    EXPECT(a.scaler.read()[0].scale == 2048);
  }
}

CUDA_TEST(update_skips_steps_that_overflow) {
  Random random;
  const float infinity = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  Arenas a(random, mixed_segments());
  a.step(gradients_of(random, a, 1024), true, 3);
  float scale = 1024;
  int64_t skipped = 0;
  for (const float value : {infinity, -infinity, nan})
    for (const size_t at : {size_t{0}, size_t{97}, size_t{20001}, a.size - 1}) {
      const Trace trace("a gradient of " + std::to_string(value) + " at " + std::to_string(at));
      std::vector<float> g = gradients_of(random, a, 3e38f);
      const std::vector<float> w = a.w.read(), v = a.v.read();
      const std::vector<half> halves = a.halves.read();
      g[at] = value;
      a.step(g, true, 3);
      expect_same_bits(a.w, w);
      expect_same_bits(a.v, v);
      expect_same_bits(a.halves, halves);
      scale = scale / 2 < smallest_loss_scale ? smallest_loss_scale : scale / 2;
      const ScalerState state = a.scaler.read()[0];
      EXPECT(state.scale == scale && state.good_steps == 0 && state.skipped == 1 && state.skipped_steps == ++skipped);
    }
  EXPECT(scale == smallest_loss_scale);
}

/** 3·10³⁸ is finite: only the division by the scale matters. */
CUDA_TEST(update_takes_the_largest_finite_gradients) {
  Random random;
  Arenas a(random, {{0, 8, SegmentKind::plain, 1}});
  a.step(std::vector<float>(8, std::numeric_limits<float>::max()), false, 100);
  EXPECT(a.scaler.read()[0].skipped == 0);
}

CUDA_TEST(update_grows_the_scale_after_good_steps_in_a_row) {
  Random random;
  Arenas a(random, {{0, 8, SegmentKind::decayed, 1}});
  const std::vector<float> good(8, 1), bad(8, std::numeric_limits<float>::infinity());
  const auto expect = [&](const std::vector<float>& g, float scale, int good_steps, int skipped, int64_t skipped_steps) {
    a.step(g, false, 3);
    const ScalerState s = a.scaler.read()[0];
    EXPECT(s.scale == scale && s.good_steps == good_steps && s.skipped == skipped && s.skipped_steps == skipped_steps);
  };
  expect(good, 1024, 1, 0, 0);
  expect(good, 1024, 2, 0, 0);
  expect(bad, 512, 0, 1, 1);
  expect(good, 512, 1, 0, 1);
  expect(good, 512, 2, 0, 1);
  expect(good, 1024, 0, 0, 1);
  for (int i = 0; i < 3 * 20; i++) a.step(good, false, 3);
  EXPECT(a.scaler.read()[0].scale == largest_loss_scale);
}

CUDA_TEST(update_has_the_same_bits_every_time) {
  const auto run = [](std::vector<float>& w, std::vector<float>& v) {
    Random random(7);
    Arenas a(random, mixed_segments());
    for (int step = 0; step < 3; step++) a.step(gradients_of(random, a, 1000), true, 2);
    w = a.w.read();
    v = a.v.read();
  };
  std::vector<float> w[2], v[2];
  for (int i = 0; i < 2; i++) run(w[i], v[i]);
  EXPECT(std::memcmp(w[0].data(), w[1].data(), w[0].size() * sizeof(float)) == 0);
  EXPECT(std::memcmp(v[0].data(), v[1].data(), v[0].size() * sizeof(float)) == 0);
}

}  // namespace
}  // namespace tvn::cuda
