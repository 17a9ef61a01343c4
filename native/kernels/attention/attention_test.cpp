#include "kernels/attention/attention.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "kernels/attention/attention_reference.h"
#include "test/gradient.h"
#include "test/kernels.h"
#include "test/random.h"
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

/** Below, at and above 32 queries, tiles of 6 rows, vectors of 8 and 16; one and several chunks. */
constexpr AttentionShape shapes[] = {{1, 1, 1, 1},     {2, 3, 2, 5},    {1, 31, 7, 8},    {1, 32, 6, 16},   {3, 33, 5, 17}, {1, 65, 13, 31},
                                     {17, 40, 11, 33}, {2, 98, 25, 64}, {1, 700, 49, 24}, {16, 64, 12, 48}, {5, 7, 100, 3}};

auto trace(const AttentionShape& s) {
  return testing::Message() << s.n << " clips, " << s.queries << " queries, " << s.keys << " keys, depth " << s.depth;
}

/** Every number of threads must give the bits of the first. */
void expect_same(std::vector<float>& first, const GuardedBuffer<float>& got) {
  if (first.empty()) first.assign(got.begin(), got.end());
  expect_same_bits(got, first);
}

TEST(Attention, ForwardAgreesWithF64) {
  Random random;
  for (const AttentionShape& s : shapes) {
    SCOPED_TRACE(trace(s));
    const auto theta = random.buffer(s.n * s.queries * s.depth, 1, 2), phi = random.buffer(s.n * s.keys * s.depth, 0, 2),
               g = random.buffer(s.n * s.keys * s.depth, 5);
    std::vector<double> want(theta.size()), p(static_cast<size_t>(s.keys));
    attention_forward_reference(s, to_double(theta).data(), to_double(phi).data(), to_double(g).data(), want.data(), p.data());
    for_each_kernel(attention_forward_kernels(), [&](const auto& kernel) {
      std::vector<float> first;
      for_each_thread_count([&](ThreadPool& pool) {
        GuardedBuffer<float> y(s.n * s.queries * s.depth, 3), scratch(static_cast<int64_t>(attention_scratch(s, pool.threads())));
        kernel.run(s, {theta.data(), phi.data(), g.data(), y.data(), scratch.data()}, pool);
        // Errors of the scores, sums of `depth` products up to 4, are magnified by the exponential.
        expect_close(y, want, {.terms = static_cast<double>(s.depth + s.keys), .factor = 32});
        expect_same(first, y);
      });
    });
  }
}

TEST(Attention, BackwardAgreesWithF64) {
  Random random;
  for (const AttentionShape& s : shapes) {
    SCOPED_TRACE(trace(s));
    const int64_t many = s.n * s.queries * s.depth, few = s.n * s.keys * s.depth;
    const auto theta = random.buffer(many, 1), phi = random.buffer(few), g = random.buffer(few, 5), dy = random.buffer(many);
    std::vector<double> want_theta(theta.size()), want_phi(phi.size()), want_g(g.size()), p(2 * static_cast<size_t>(s.keys));
    attention_backward_reference(s, to_double(theta).data(), to_double(phi).data(), to_double(g).data(), to_double(dy).data(),
                                 want_theta.data(), want_phi.data(), want_g.data(), p.data());
    for_each_kernel(attention_backward_kernels(), [&](const auto& kernel) {
      std::vector<float> first_theta, first_phi, first_g;
      for_each_thread_count([&](ThreadPool& pool) {
        GuardedBuffer<float> dtheta(many, 3), dphi(few, 1), dg(few), scratch(static_cast<int64_t>(attention_scratch(s, pool.threads())));
        kernel.run(s, {theta.data(), phi.data(), g.data(), dy.data(), dtheta.data(), dphi.data(), dg.data(), scratch.data()}, pool);
        const test::Tolerance tolerance = {.terms = static_cast<double>(s.depth + s.keys + s.queries), .factor = 32};
        expect_close(dtheta, want_theta, tolerance);
        expect_close(dphi, want_phi, tolerance);
        expect_close(dg, want_g, tolerance);
        expect_same(first_theta, dtheta);
        expect_same(first_phi, dphi);
        expect_same(first_g, dg);
      });
    });
  }
}

TEST(Attention, SurvivesLargeScoresAndShowsNan) {
  const AttentionShape s = {1, 40, 9, 4};
  Random random;
  auto theta = random.buffer(s.queries * s.depth, 0, 1000);
  const auto phi = random.buffer(s.keys * s.depth, 0, 1000), g = random.buffer(s.keys * s.depth);
  for_each_kernel(attention_forward_kernels(), [&](const auto& kernel) {
    ThreadPool pool(1);
    GuardedBuffer<float> y(s.queries * s.depth), scratch(static_cast<int64_t>(attention_scratch(s, 1)));
    kernel.run(s, {theta.data(), phi.data(), g.data(), y.data(), scratch.data()}, pool);
    for (const float value : y) EXPECT_LE(std::fabs(value), 1);
    const float kept = theta[5];
    theta[5] = std::nanf("");  // query 1
    kernel.run(s, {theta.data(), phi.data(), g.data(), y.data(), scratch.data()}, pool);
    for (size_t i = 0; i < y.size(); i++) EXPECT_EQ(std::isnan(y[i]), i / 4 == 1) << i;
    theta[5] = kept;
  });
}

TEST(Attention, GradientsMatchFiniteDifferences) {
  Random random;
  const AttentionShape s = {2, 5, 4, 3};
  auto theta = to_double(random.buffer(30)), phi = to_double(random.buffer(24)), g = to_double(random.buffer(24));
  const auto dy = to_double(random.buffer(30));
  std::vector<double> y(30), dtheta(30), dphi(24), dg(24), p(8);
  attention_backward_reference(s, theta.data(), phi.data(), g.data(), dy.data(), dtheta.data(), dphi.data(), dg.data(), p.data());
  const auto loss = [&] {
    attention_forward_reference(s, theta.data(), phi.data(), g.data(), y.data(), p.data());
    return test::dot(y, dy);
  };
  test::expect_gradient("dtheta", theta, dtheta, loss);
  test::expect_gradient("dphi", phi, dphi, loss);
  test::expect_gradient("dg", g, dg, loss);
}

}  // namespace
}  // namespace tvn
