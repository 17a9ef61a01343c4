#include "kernels/loss/loss.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/loss/loss_reference.h"
#include "test/gradient.h"
#include "test/kernels.h"
#include "test/random.h"
#include "test/tolerance.h"

namespace tvn {
namespace {

using namespace test;

constexpr float nan_value = std::numeric_limits<float>::quiet_NaN();

std::vector<int32_t> random_labels(Random& random, int64_t count, int64_t highest) {
  std::vector<int32_t> labels(static_cast<size_t>(count));
  for (int32_t& label : labels) label = static_cast<int32_t>(random.integer(0, highest));
  return labels;
}

TEST(SoftmaxCrossEntropy, EveryKernelIsTheReferenceAndTheGradientSumsToZero) {
  Random random;
  for_each_kernel(softmax_cross_entropy_kernels(), [&](const Kernel<Loss>& kernel) {
    for (const int64_t n : {1, 3, 16})
      for (const int64_t classes : {1, 2, 10, 101}) {
        SCOPED_TRACE(testing::Message() << n << " × " << classes);
        const GuardedBuffer<float> z = random.buffer(n * classes, 1, 5);
        const std::vector<int32_t> labels = random_labels(random, n, classes - 1);
        GuardedBuffer<float> dz(n * classes, 2);
        std::vector<double> want(dz.size());
        const double loss = reference::softmax_cross_entropy(n, classes, to_double(z).data(), labels.data(), double{0.1f}, want.data());
        EXPECT_NEAR(kernel.run(n, classes, {z.data(), labels.data(), 0.1f, dz.data()}), loss, 1e-12);
        expect_close(dz, want, {});
        for (int64_t i = 0; i < n; i++) {
          double sum = 0;
          for (int64_t k = 0; k < classes; k++) sum += want[static_cast<size_t>(i * classes + k)];
          EXPECT_NEAR(sum, 0, 1e-12);
        }
      }
  });
}

// Two equal logits, smoothing 0.2: q = (0.9, 0.1), p = (½, ½).
TEST(SoftmaxCrossEntropy, FollowsTheFormula) {
  const double z[] = {3, 3};
  const int32_t label = 0;
  double dz[2];
  EXPECT_NEAR(reference::softmax_cross_entropy(1, 2, z, &label, 0.2, dz), std::log(2.0), 1e-15);
  EXPECT_NEAR(dz[0], 0.5 - 0.9, 1e-15);
  EXPECT_NEAR(dz[1], 0.5 - 0.1, 1e-15);
}

TEST(SoftmaxCrossEntropy, IsStableAndNanSurvives) {
  const int32_t label = 1;
  const float z[] = {3e4f, -3e4f};
  float dz[2];
  EXPECT_NEAR(reference::softmax_cross_entropy(1, 2, z, &label, 0.0, dz), 6e4, 1e-6);
  EXPECT_FLOAT_EQ(dz[0], 1);
  EXPECT_FLOAT_EQ(dz[1], -1);
  for (const size_t at : {0, 1}) {
    float bad[] = {1, 2};
    bad[at] = nan_value;
    EXPECT_TRUE(std::isnan(reference::softmax_cross_entropy(1, 2, bad, &label, 0.0, dz)));
    EXPECT_TRUE(std::isnan(dz[0]) && std::isnan(dz[1]));
  }
}

TEST(SoftmaxCrossEntropy, GradientIsTheFiniteDifference) {
  Random random;
  const std::vector<int32_t> labels = {2, 0, 4};
  std::vector<double> z(15), dz(15), unused(15);
  random.fill<double>(z, 4);
  for (const double smoothing : {0.0, 0.1}) {
    reference::softmax_cross_entropy(3, 5, z.data(), labels.data(), smoothing, dz.data());
    expect_gradient("dlogits", z, dz,
                    [&] { return reference::softmax_cross_entropy(3, 5, z.data(), labels.data(), smoothing, unused.data()); });
  }
}

TEST(SigmoidCrossEntropy, EveryKernelIsTheReference) {
  Random random;
  for_each_kernel(sigmoid_cross_entropy_kernels(), [&](const Kernel<Loss>& kernel) {
    for (const int64_t n : {1, 3, 16})
      for (const int64_t classes : {1, 2, 10, 101}) {
        SCOPED_TRACE(testing::Message() << n << " × " << classes);
        const GuardedBuffer<float> z = random.buffer(n * classes, 1, 5);
        const std::vector<int32_t> labels = random_labels(random, n * classes, 1);
        GuardedBuffer<float> dz(n * classes, 2);
        std::vector<double> want(dz.size());
        const double loss = reference::sigmoid_cross_entropy(n, classes, to_double(z).data(), labels.data(), double{0.1f}, want.data());
        EXPECT_NEAR(kernel.run(n, classes, {z.data(), labels.data(), 0.1f, dz.data()}), loss, 1e-12);
        expect_close(dz, want, {});
      }
  });
}

TEST(SigmoidCrossEntropy, FollowsTheFormulaIsStableAndNanSurvives) {
  const int32_t labels[] = {1, 0};
  double z[] = {0.3, -1.2}, dz[2];
  const auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  const double q0 = 0.9 + 0.05, q1 = 0.05;
  const double want = -(q0 * std::log(sigmoid(z[0])) + (1 - q0) * std::log(1 - sigmoid(z[0])) + q1 * std::log(sigmoid(z[1])) +
                        (1 - q1) * std::log(1 - sigmoid(z[1]))) /
                      2;
  EXPECT_NEAR(reference::sigmoid_cross_entropy(1, 2, z, labels, 0.1, dz), want, 1e-14);
  EXPECT_NEAR(dz[0], (sigmoid(0.3) - q0) / 2, 1e-15);

  z[0] = -1e4;
  z[1] = 1e4;
  EXPECT_NEAR(reference::sigmoid_cross_entropy(1, 2, z, labels, 0.0, dz), 1e4, 1e-9);
  EXPECT_DOUBLE_EQ(dz[0], -0.5);
  EXPECT_DOUBLE_EQ(dz[1], 0.5);

  z[0] = nan_value;
  EXPECT_TRUE(std::isnan(reference::sigmoid_cross_entropy(1, 2, z, labels, 0.0, dz)));
  EXPECT_TRUE(std::isnan(dz[0]));
}

TEST(SigmoidCrossEntropy, GradientIsTheFiniteDifference) {
  Random random;
  const std::vector<int32_t> labels = {1, 0, 0, 1, 1, 0};
  std::vector<double> z(6), dz(6), unused(6);
  random.fill<double>(z, 4);
  reference::sigmoid_cross_entropy(2, 3, z.data(), labels.data(), 0.1, dz.data());
  expect_gradient("dlogits", z, dz, [&] { return reference::sigmoid_cross_entropy(2, 3, z.data(), labels.data(), 0.1, unused.data()); });
}

}  // namespace
}  // namespace tvn
