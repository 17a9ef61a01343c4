#include "kernels/normalize/normalize.h"

#include <gtest/gtest.h>

#include <vector>

#include "kernels/normalize/normalize_reference.h"
#include "test/kernels.h"
#include "test/random.h"
#include "test/sizes.h"
#include "test/tolerance.h"

namespace tvn {
namespace {

TEST(Normalize, AgreesWithF64OnEveryByteAndSize) {
  test::Random random;
  for (const int64_t size : test::hostile_sizes) {
    SCOPED_TRACE(testing::Message() << size << " bytes");
    test::GuardedBuffer<uint8_t> x(size, 3);
    const int64_t first = random.integer(0, 255);
    for (size_t i = 0; i < x.size(); i++) x[i] = static_cast<uint8_t>(first + static_cast<int64_t>(i));
    std::vector<double> want(x.size());
    normalize_reference(size, x.data(), want.data());
    test::for_each_kernel(normalize_kernels(), [&](const auto& kernel) {
      test::for_each_thread_count([&](ThreadPool& pool) {
        test::GuardedBuffer<float> y(size, 1);
        kernel.run(size, {x.data(), y.data()}, pool);
        test::expect_close(y, want, {.factor = 2});
      });
    });
  }
}

}  // namespace
}  // namespace tvn
