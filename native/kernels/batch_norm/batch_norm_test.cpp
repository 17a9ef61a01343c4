#include "kernels/batch_norm/batch_norm.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/batch_norm/batch_norm_reference.h"
#include "test/gradient.h"
#include "test/kernels.h"
#include "test/random.h"
#include "test/sizes.h"
#include "test/tolerance.h"

namespace tvn {
namespace {

using namespace test;

constexpr Function functions[] = {Function::none, Function::relu, Function::hswish, Function::sigmoid};
constexpr float epsilon = 1e-3f;

struct Size {
  int64_t rows, channels;
};

/** Every number of channels with few rows, and shapes of several chunks. */
std::vector<Size> sizes() {
  std::vector<Size> all = {{5000, 8}, {5003, 24}, {20001, 3}, {1000, 144}, {77, 2049}, {2, 5000}, {33000, 16}};
  for (const int64_t channels : hostile_channels)
    for (const int64_t rows : hostile_rows) all.push_back({rows, channels});
  return all;
}

GuardedBuffer<float> scratch_for(const Size& s) {
  return GuardedBuffer<float>(static_cast<int64_t>(batch_norm_scratch(s.rows, s.channels)));
}

TEST(BatchNormStatistics, AreTheReference) {
  Random random;
  ThreadPool pool(1);
  for_each_kernel(batch_norm_statistics_kernels(), [&](const Kernel<BatchNormStatistics>& kernel) {
    for (const Size& s : sizes()) {
      SCOPED_TRACE(testing::Message() << s.rows << " rows, " << s.channels << " channels");
      const GuardedBuffer<float> x = random.buffer(s.rows * s.channels, 1, 2, 0.5);
      GuardedBuffer<float> mean(s.channels, 1), variance(s.channels, 2), scratch = scratch_for(s);
      std::vector<double> want_mean(mean.size()), want_variance(mean.size());
      reference::batch_norm_statistics(s.rows, s.channels, to_double(x).data(), want_mean.data(), want_variance.data());
      kernel.run(s.rows, s.channels, {x.data(), mean.data(), variance.data(), scratch.data()}, pool);
      expect_close(mean, want_mean, {});
      expect_close(variance, want_variance, {.factor = 32});  // the pivot may cost three bits
    }
  });
}

// The naive Σx² − (Σx)²/n keeps no digit of a variance of 1 at a mean of 1000 in f32. The last two cases are what a pivot taken from
// one row, or from the beginning alone, gets wrong: a first row, and a first part, far from the rest.
TEST(BatchNormStatistics, VarianceIsRightWhereTheMeanIsLarge) {
  Random random;
  ThreadPool pool(1);
  for_each_kernel(batch_norm_statistics_kernels(), [&](const Kernel<BatchNormStatistics>& kernel) {
    for (const Size& s : {Size{509, 1}, {5003, 24}, {20000, 8}, {3000, 144}})
      for (const int64_t outliers : {int64_t{0}, int64_t{1}, s.rows / 500 + 1}) {
        SCOPED_TRACE(testing::Message() << s.rows << " rows, " << s.channels << " channels, " << outliers << " zero rows first");
        GuardedBuffer<float> x = random.buffer(s.rows * s.channels, 0, std::sqrt(3.0), 1000);
        for (int64_t i = 0; i < outliers * s.channels; i++) x[static_cast<size_t>(i)] = 0;
        GuardedBuffer<float> mean(s.channels), variance(s.channels), scratch = scratch_for(s);
        std::vector<double> want_mean(mean.size()), want_variance(mean.size());
        reference::batch_norm_statistics(s.rows, s.channels, to_double(x).data(), want_mean.data(), want_variance.data());
        kernel.run(s.rows, s.channels, {x.data(), mean.data(), variance.data(), scratch.data()}, pool);
        expect_close(mean, want_mean, {});
        expect_close(variance, want_variance, {.factor = 128});  // 17 of 24 bits; a wrong pivot leaves 4
      }
  });
}

TEST(BatchNormStatistics, AConstantHasNoVarianceAndNanHasNan) {
  ThreadPool pool(1);
  for_each_kernel(batch_norm_statistics_kernels(), [&](const Kernel<BatchNormStatistics>& kernel) {
    const Size s{1003, 5};
    std::vector<float> x(static_cast<size_t>(s.rows * s.channels), 0.1f), mean(5), variance(5);
    x[2 + 5 * 900] = std::numeric_limits<float>::quiet_NaN();
    GuardedBuffer<float> scratch = scratch_for(s);
    kernel.run(s.rows, s.channels, {x.data(), mean.data(), variance.data(), scratch.data()}, pool);
    for (const size_t c : {0, 1, 3, 4}) {
      EXPECT_FLOAT_EQ(mean[c], 0.1f);
      EXPECT_GE(variance[c], 0);
      EXPECT_LT(variance[c], 1e-12f);
    }
    EXPECT_TRUE(std::isnan(mean[2]));
    EXPECT_TRUE(std::isnan(variance[2]));
  });
}

TEST(BatchNormApply, IsTheReferenceAndMayOverwriteX) {
  Random random;
  ThreadPool pool(1);
  for_each_kernel(batch_norm_apply_kernels(), [&](const Kernel<BatchNormApply>& kernel) {
    for (const Function function : functions)
      for (const Size& s : sizes()) {
        SCOPED_TRACE(testing::Message() << s.rows << " rows, " << s.channels << " channels, function " << static_cast<int>(function));
        const GuardedBuffer<float> scale = random.buffer(s.channels, 1), shift = random.buffer(s.channels, 2);
        GuardedBuffer<float> x = random.buffer(s.rows * s.channels, 3, 4), y(s.rows * s.channels, 1);
        std::vector<double> want(x.size());
        reference::batch_norm_apply(s.rows, s.channels, to_double(x).data(), to_double(scale).data(), to_double(shift).data(), function,
                                    want.data());
        kernel.run(s.rows, s.channels, {x.data(), scale.data(), shift.data(), function, y.data()}, pool);
        expect_close(y, want, {.scale = 4});
        kernel.run(s.rows, s.channels, {x.data(), scale.data(), shift.data(), function, x.data()}, pool);
        expect_same_bits(x, y);
      }
  });
}

TEST(BatchNormApply, NanSurvives) {
  ThreadPool pool(1);
  const std::vector<float> x(7 * 19, std::numeric_limits<float>::quiet_NaN()), ones(7, 1.0f);
  for_each_kernel(batch_norm_apply_kernels(), [&](const Kernel<BatchNormApply>& kernel) {
    for (const Function function : functions) {
      std::vector<float> y(x.size());
      kernel.run(19, 7, {x.data(), ones.data(), ones.data(), function, y.data()}, pool);
      for (const float value : y) EXPECT_TRUE(std::isnan(value));
    }
  });
}

/** One backward problem in f64, with the inputs as f32 too. */
struct Backward {
  Backward(Random& random, const Size& size, Function f)
      : s(size),
        function(f),
        gamma(random.buffer(s.channels, 1, 0.5, 1)),
        beta(random.buffer(s.channels, 2)),
        x(random.buffer(s.rows * s.channels, 1, 2, 0.5)),
        dy(random.buffer(s.rows * s.channels, 2)),
        mean(gamma.size()),
        variance(gamma.size()) {
    reference::batch_norm_statistics(s.rows, s.channels, x.data(), mean.data(), variance.data());
    // Where f' jumps, one rounding of u decides: no gradient comes there.
    for (size_t i = 0; i < x.size(); i++) {
      const size_t c = i % gamma.size();
      const double u = (x[i] - mean[c]) / std::sqrt(variance[c] + epsilon) * gamma[c] + beta[c];
      const bool jumps =
          function == Function::relu ? std::fabs(u) < 1e-4 : function == Function::hswish && std::fabs(std::fabs(u) - 3) < 1e-4;
      if (jumps) dy[i] = 0;
    }
  }
  void want(std::vector<double>& dgamma, std::vector<double>& dbeta, bool accumulate, std::vector<double>& dx) const {
    dgamma.resize(gamma.size());
    dbeta.resize(gamma.size());
    reference::batch_norm_backward<double>(s.rows, s.channels, to_double(x).data(), to_double(dy).data(), to_double(mean).data(),
                                           to_double(variance).data(), to_double(gamma).data(), to_double(beta).data(), epsilon, function,
                                           dgamma.data(), dbeta.data(), accumulate, dx.data());
  }

  Size s;
  Function function;
  GuardedBuffer<float> gamma, beta, x, dy;
  std::vector<float> mean, variance;
};

TEST(BatchNormBackward, IsTheReference) {
  Random random;
  ThreadPool pool(1);
  for_each_kernel(batch_norm_backward_kernels(), [&](const Kernel<BatchNormBackward>& kernel) {
    for (const Function function : functions)
      for (const Size& s : sizes()) {
        SCOPED_TRACE(testing::Message() << s.rows << " rows, " << s.channels << " channels, function " << static_cast<int>(function));
        const Backward b(random, s, function);
        const bool accumulate = (s.rows + s.channels) % 2 == 0;
        GuardedBuffer<float> dgamma(s.channels, 1), dbeta(s.channels, 2), dx = random.buffer(s.rows * s.channels, 3),
                                                                          scratch = scratch_for(s);
        std::vector<double> want_dgamma, want_dbeta, want_dx = to_double(dx);
        b.want(want_dgamma, want_dbeta, accumulate, want_dx);
        kernel.run(s.rows, s.channels,
                   {b.x.data(), b.dy.data(), b.mean.data(), b.variance.data(), b.gamma.data(), b.beta.data(), epsilon, function,
                    dgamma.data(), dbeta.data(), accumulate, dx.data(), scratch.data()},
                   pool);
        const double rows = static_cast<double>(s.rows),
                     gain = s.rows < 4 ? 40 : 4;  // few rows may be nearly equal: rstd up to 1/sqrt(epsilon)
        expect_close(dgamma, want_dgamma, {.terms = rows, .scale = gain});
        expect_close(dbeta, want_dbeta, {.terms = rows, .scale = gain});
        expect_close(dx, want_dx, {.scale = gain * gain, .factor = 16});
      }
  });
}

TEST(BatchNormBackward, MayReplaceDyOrLeaveOutDx) {
  Random random;
  ThreadPool pool(2);
  for_each_kernel(batch_norm_backward_kernels(), [&](const Kernel<BatchNormBackward>& kernel) {
    for (const Size& s : {Size{509, 24}, {67, 257}, {5003, 8}}) {
      Backward b(random, s, Function::relu);
      GuardedBuffer<float> dgamma(s.channels), dbeta(s.channels), dgamma_alone(s.channels), dbeta_alone(s.channels),
          dx(s.rows * s.channels), scratch = scratch_for(s);
      const auto run = [&](float* to_gamma, float* to_beta, float* to_x) {
        kernel.run(s.rows, s.channels,
                   {b.x.data(), b.dy.data(), b.mean.data(), b.variance.data(), b.gamma.data(), b.beta.data(), epsilon, b.function, to_gamma,
                    to_beta, false, to_x, scratch.data()},
                   pool);
      };
      run(dgamma.data(), dbeta.data(), dx.data());
      run(dgamma_alone.data(), dbeta_alone.data(), nullptr);
      expect_same_bits(dgamma_alone, dgamma);
      expect_same_bits(dbeta_alone, dbeta);
      run(dgamma_alone.data(), dbeta_alone.data(), b.dy.data());
      expect_same_bits(b.dy, dx);
    }
  });
}

TEST(BatchNorm, ThreadsDoNotChangeBits) {
  Random random;
  for (const Size& s : {Size{20001, 24}, {3000, 144}, {50021, 8}}) {
    const Backward b(random, s, Function::hswish);
    std::vector<float> first;
    const auto expect_same_as_first = [&](const std::vector<float>& got) {
      if (first.empty()) first = got;
      expect_same_bits(got, first);
    };
    for_each_kernel(batch_norm_statistics_kernels(), [&](const Kernel<BatchNormStatistics>& kernel) {
      first.clear();
      for_each_thread_count([&](ThreadPool& pool) {
        std::vector<float> mean(b.mean.size()), variance(b.mean.size());
        GuardedBuffer<float> scratch = scratch_for(s);
        kernel.run(s.rows, s.channels, {b.x.data(), mean.data(), variance.data(), scratch.data()}, pool);
        mean.insert(mean.end(), variance.begin(), variance.end());
        expect_same_as_first(mean);
      });
    });
    for_each_kernel(batch_norm_apply_kernels(), [&](const Kernel<BatchNormApply>& kernel) {
      first.clear();
      for_each_thread_count([&](ThreadPool& pool) {
        std::vector<float> y(b.x.size());
        kernel.run(s.rows, s.channels, {b.x.data(), b.gamma.data(), b.beta.data(), b.function, y.data()}, pool);
        expect_same_as_first(y);
      });
    });
    for_each_kernel(batch_norm_backward_kernels(), [&](const Kernel<BatchNormBackward>& kernel) {
      first.clear();
      for_each_thread_count([&](ThreadPool& pool) {
        std::vector<float> dx(b.x.size()), dgamma(b.mean.size()), dbeta(b.mean.size());
        GuardedBuffer<float> scratch = scratch_for(s);
        kernel.run(s.rows, s.channels,
                   {b.x.data(), b.dy.data(), b.mean.data(), b.variance.data(), b.gamma.data(), b.beta.data(), epsilon, b.function,
                    dgamma.data(), dbeta.data(), false, dx.data(), scratch.data()},
                   pool);
        dx.insert(dx.end(), dgamma.begin(), dgamma.end());
        dx.insert(dx.end(), dbeta.begin(), dbeta.end());
        expect_same_as_first(dx);
      });
    });
  }
}

TEST(BatchNormBackward, NanSurvives) {
  ThreadPool pool(1);
  const Size s{19, 7};
  const std::vector<float> x(7 * 19, 0.5f), nans(7 * 19, std::numeric_limits<float>::quiet_NaN()), ones(7, 1.0f);
  for_each_kernel(batch_norm_backward_kernels(), [&](const Kernel<BatchNormBackward>& kernel) {
    for (const Function function : functions) {
      std::vector<float> dgamma(7), dbeta(7), dx(x.size());
      GuardedBuffer<float> scratch = scratch_for(s);
      kernel.run(s.rows, s.channels,
                 {x.data(), nans.data(), ones.data(), ones.data(), ones.data(), ones.data(), epsilon, function, dgamma.data(), dbeta.data(),
                  false, dx.data(), scratch.data()},
                 pool);
      for (const std::vector<float>* gradient : {&dgamma, &dbeta, &dx})
        for (const float value : *gradient) EXPECT_TRUE(std::isnan(value));
    }
  });
}

// Through the statistics: they depend on x.
TEST(BatchNormBackward, GradientsAreTheFiniteDifferences) {
  Random random;
  constexpr int64_t rows = 11, channels = 3;
  for (const Function function : functions) {
    SCOPED_TRACE(static_cast<int>(function));
    std::vector<double> x(rows * channels), y(x.size()), dy(x.size()), dx(x.size()), gamma(channels), beta(channels), mean(channels),
        variance(channels), dgamma(channels), dbeta(channels);
    random.fill<double>(x, 2, 0.5);
    random.fill<double>(dy);
    random.fill<double>(gamma, 0.5, 1);
    random.fill<double>(beta, 0.5);
    const auto loss = [&] {
      reference::batch_norm_statistics(rows, channels, x.data(), mean.data(), variance.data());
      std::vector<double> scale(channels), shift(channels);
      for (size_t c = 0; c < channels; c++) {
        scale[c] = gamma[c] / std::sqrt(variance[c] + epsilon);
        shift[c] = beta[c] - mean[c] * scale[c];
      }
      reference::batch_norm_apply(rows, channels, x.data(), scale.data(), shift.data(), function, y.data());
      return dot(y, dy);
    };
    loss();
    reference::batch_norm_backward<double>(rows, channels, x.data(), dy.data(), mean.data(), variance.data(), gamma.data(), beta.data(),
                                           epsilon, function, dgamma.data(), dbeta.data(), false, dx.data());
    expect_gradient("dx", x, dx, loss);
    expect_gradient("dgamma", gamma, dgamma, loss);
    expect_gradient("dbeta", beta, dbeta, loss);
  }
}

}  // namespace
}  // namespace tvn
