#include "kernels/add/add.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "kernels/add/add_reference.h"
#include "test/kernels.h"
#include "test/random.h"
#include "test/sizes.h"
#include "test/tolerance.h"

namespace tvn {
namespace {

using namespace test;

constexpr Function functions[] = {Function::none, Function::relu, Function::hswish, Function::sigmoid};

TEST(Add, IsTheReferenceAndMayOverwriteAnInput) {
  Random random;
  ThreadPool pool(1);
  for_each_kernel(add_forward_kernels(), [&](const Kernel<AddForward>& kernel) {
    for (const Function function : functions)
      for (const int64_t size : hostile_sizes) {
        SCOPED_TRACE(testing::Message() << "function " << static_cast<int>(function) << ", size " << size);
        GuardedBuffer<float> a = random.buffer(size, 1, 3), b = random.buffer(size, 2, 3), y(size, 3);
        std::vector<double> want(a.size());
        reference::add_forward(size, to_double(a).data(), to_double(b).data(), function, want.data());
        kernel.run(size, {a.data(), b.data(), function, y.data()}, pool);
        expect_close(y, want, {});
        std::vector<float> copy(a.begin(), a.end());
        kernel.run(size, {copy.data(), b.data(), function, copy.data()}, pool);
        expect_same_bits(copy, y);
        kernel.run(size, {a.data(), b.data(), function, b.data()}, pool);
        expect_same_bits(b, y);
      }
  });
}

TEST(Add, ThreadsDoNotChangeBits) {
  Random random;
  constexpr int64_t size = 100003;
  const GuardedBuffer<float> a = random.buffer(size), b = random.buffer(size);
  for_each_kernel(add_forward_kernels(), [&](const Kernel<AddForward>& kernel) {
    GuardedBuffer<float> first(size);
    ThreadPool one(1);
    kernel.run(size, {a.data(), b.data(), Function::hswish, first.data()}, one);
    for_each_thread_count([&](ThreadPool& pool) {
      GuardedBuffer<float> y(size);
      kernel.run(size, {a.data(), b.data(), Function::hswish, y.data()}, pool);
      expect_same_bits(y, first);
    });
  });
}

TEST(Add, NanSurvives) {
  ThreadPool pool(1);
  constexpr int64_t size = 37;
  const std::vector<float> ones(size, 1.0f), nans(size, std::numeric_limits<float>::quiet_NaN());
  for_each_kernel(add_forward_kernels(), [&](const Kernel<AddForward>& kernel) {
    for (const Function function : functions) {
      std::vector<float> y(size);
      kernel.run(size, {ones.data(), nans.data(), function, y.data()}, pool);
      for (const float value : y) EXPECT_TRUE(std::isnan(value));
    }
  });
}

}  // namespace
}  // namespace tvn
