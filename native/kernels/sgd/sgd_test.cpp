#include "kernels/sgd/sgd.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/sgd/sgd_reference.h"
#include "test/kernels.h"
#include "test/random.h"
#include "test/sizes.h"
#include "test/tolerance.h"

namespace tvn {
namespace {

using namespace test;

constexpr float rate = 0.1f, momentum = 0.9f, decay = 1e-2f;

TEST(Sgd, IsTheReferenceOverSeveralSteps) {
  Random random;
  ThreadPool pool(1);
  for_each_kernel(sgd_kernels(), [&](const Kernel<Sgd>& kernel) {
    for (const bool nesterov : {false, true})
      for (const int64_t size : hostile_sizes) {
        SCOPED_TRACE(testing::Message() << "nesterov " << nesterov << ", size " << size);
        GuardedBuffer<float> w = random.buffer(size, 1), v = random.buffer(size, 2);
        std::vector<double> want_w = to_double(w), want_v = to_double(v);
        for (int step = 0; step < 3; step++) {
          const GuardedBuffer<float> g = random.buffer(size, 3);
          reference::sgd<double>(size, want_w.data(), want_v.data(), to_double(g).data(), rate, momentum, decay, nesterov);
          kernel.run(size, {w.data(), v.data(), g.data(), rate, momentum, decay, nesterov}, pool);
        }
        expect_close(w, want_w, {.terms = 3});
        expect_close(v, want_v, {.terms = 3});
      }
  });
}

// Nesterov's step by hand: d = 0.5 + 0.1·2 = 0.7, v = 0.5·1 + 0.7 = 1.2, w = 2 − 0.1·(0.7 + 0.5·1.2) = 1.87; plain: 2 − 0.1·1.2.
TEST(Sgd, FollowsTheFormula) {
  ThreadPool pool(1);
  for_each_kernel(sgd_kernels(), [&](const Kernel<Sgd>& kernel) {
    for (const bool nesterov : {false, true}) {
      float w = 2, v = 1;
      const float g = 0.5f;
      kernel.run(1, {&w, &v, &g, 0.1f, 0.5f, 0.1f, nesterov}, pool);
      EXPECT_FLOAT_EQ(v, 1.2f);
      EXPECT_FLOAT_EQ(w, nesterov ? 1.87f : 1.88f);
    }
  });
}

TEST(Sgd, ThreadsDoNotChangeBits) {
  Random random;
  constexpr int64_t size = 100003;
  const GuardedBuffer<float> w = random.buffer(size), v = random.buffer(size), g = random.buffer(size);
  for_each_kernel(sgd_kernels(), [&](const Kernel<Sgd>& kernel) {
    std::vector<float> first_w, first_v;
    for_each_thread_count([&](ThreadPool& pool) {
      std::vector<float> new_w(w.begin(), w.end()), new_v(v.begin(), v.end());
      kernel.run(size, {new_w.data(), new_v.data(), g.data(), rate, momentum, decay, true}, pool);
      if (first_w.empty()) {
        first_w = new_w;
        first_v = new_v;
      }
      expect_same_bits(new_w, first_w);
      expect_same_bits(new_v, first_v);
    });
  });
}

TEST(Sgd, NanSurvives) {
  ThreadPool pool(1);
  for_each_kernel(sgd_kernels(), [&](const Kernel<Sgd>& kernel) {
    std::vector<float> w(19, 1.0f), v(19, 0.0f), g(19, std::numeric_limits<float>::quiet_NaN());
    kernel.run(19, {w.data(), v.data(), g.data(), rate, momentum, decay, true}, pool);
    for (const float value : w) EXPECT_TRUE(std::isnan(value));
  });
}

}  // namespace
}  // namespace tvn
