#include "kernels/resize/resize.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "kernels/resize/resize_reference.h"
#include "test/kernels.h"
#include "test/random.h"

namespace tvn {
namespace {

using test::for_each_kernel;
using test::GuardedBuffer;
using test::Random;

GuardedBuffer<uint8_t> random_bytes(Random& random, int64_t count) {
  GuardedBuffer<uint8_t> bytes(count, static_cast<size_t>(random.integer(0, 5)));
  for (uint8_t& byte : bytes) byte = random.integer(0, 4) ? static_cast<uint8_t>(random.bits()) : random.integer(0, 1) ? 255 : 0;
  return bytes;
}

/** Runs a kernel with guarded output and scratch. */
GuardedBuffer<uint8_t> run(const Kernel<Resize>& kernel, ResizeArgs a) {
  GuardedBuffer<uint8_t> out(a.size * a.size * 3, 1), scratch(static_cast<int64_t>(resize_scratch(a.side, a.size)), 7);
  a.out = out.data();
  a.scratch = scratch.data();
  kernel.run(a);
  return out;
}

void expect_same_bytes(const GuardedBuffer<uint8_t>& got, const GuardedBuffer<uint8_t>& want) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); i++) {
    if (got[i] == want[i]) continue;
    ADD_FAILURE() << "byte " << i << " of " << got.size() << ": got " << int{got[i]} << ", want " << int{want[i]};
    return;
  }
}

/** Every kernel gives the bytes of the first, and those are within 0.1·gain + 0.5 of f64. */
void check(const ResizeArgs& a) {
  SCOPED_TRACE(testing::Message() << "frame " << a.width << "x" << a.height << ", square " << a.side << " at " << a.left << "," << a.top
                                  << (a.flip ? " flipped" : "") << " to " << a.size << ", gain " << a.gain << " offset " << a.offset);
  const std::vector<double> exact = resize_reference(a);
  const Kernel<Resize>& reference = resize_kernels().back();
  const GuardedBuffer<uint8_t> first = run(reference, a);
  for (size_t i = 0; i < exact.size(); i++) {
    const double want = std::fmin(std::fmax(exact[i], 0.0), 255.0);
    if (std::fabs(first[i] - want) <= 0.5 + 0.1 * a.gain) continue;
    ADD_FAILURE() << "byte " << i << ": got " << int{first[i]} << ", want " << exact[i];
    break;
  }
  for_each_kernel(resize_kernels(), [&](const auto& kernel) { expect_same_bytes(run(kernel, a), first); });
}

TEST(Resize, AgreesWithF64AndOnEveryIsa) {
  Random random;
  for (int i = 0; i < 150; i++) {
    const int64_t side = random.integer(1, 120), size = random.integer(1, 64);
    const int64_t width = side + random.integer(0, 9), height = side + random.integer(0, 9);
    const auto in = random_bytes(random, width * height * 3);
    const bool plain = random.integer(0, 1);
    check({in.data(), width, height, random.integer(0, width - side), random.integer(0, height - side), side, random.integer(0, 1) == 1,
           plain ? 1 : static_cast<float>(random.uniform(0.6, 1.4)), plain ? 0 : static_cast<float>(random.uniform(-40, 40)), size, nullptr,
           nullptr});
  }
}

TEST(Resize, HandlesTheSizesOfTrainingAndPrediction) {
  Random random;
  const auto in = random_bytes(random, 1920 * 1080 * 3);
  for (const int64_t size : {1, 24, 224, 320}) check({in.data(), 1920, 1080, 487, 67, 945, false, 1, 0, size, nullptr, nullptr});
  for (const int64_t size : {24, 32, 40, 48}) check({in.data(), 96, 96, 5, 12, 84, true, 1.1f, -3, size, nullptr, nullptr});
  for (int64_t side = 1; side < 24; side++)  // around the widths of vectors
    for (const int64_t size : {side, side + 1, int64_t{1}, 4 * side})
      check({in.data(), side, side, 0, 0, side, false, 1, 0, size, nullptr, nullptr});
}

TEST(Resize, IsTheIdentityAtFullSize) {
  Random random;
  for (const int64_t side : {1, 2, 10, 11, 33, 64}) {
    const auto in = random_bytes(random, side * side * 3);
    for_each_kernel(resize_kernels(), [&](const auto& kernel) {
      const auto out = run(kernel, {in.data(), side, side, 0, 0, side, false, 1, 0, side, nullptr, nullptr});
      EXPECT_EQ(std::memcmp(in.data(), out.data(), in.size()), 0) << side;
      const auto flipped = run(kernel, {in.data(), side, side, 0, 0, side, true, 1, 0, side, nullptr, nullptr});
      for (int64_t y = 0; y < side; y++)
        for (int64_t x = 0; x < side; x++)
          EXPECT_EQ(std::memcmp(in.data() + (y * side + x) * 3, flipped.data() + (y * side + side - 1 - x) * 3, 3), 0);
    });
  }
}

TEST(Resize, KeepsAConstantAndClamps) {
  GuardedBuffer<uint8_t> in(90 * 90 * 3);
  for (const int value : {0, 1, 127, 254, 255}) {
    std::memset(in.data(), value, in.size());
    for (const int64_t size : {7, 45, 90, 111})
      for_each_kernel(resize_kernels(), [&](const auto& kernel) {
        for (const uint8_t byte : run(kernel, {in.data(), 90, 90, 0, 0, 90, false, 1, 0, size, nullptr, nullptr}))
          ASSERT_EQ(byte, value) << size;
        for (const uint8_t byte : run(kernel, {in.data(), 90, 90, 0, 0, 90, false, 2, -50, size, nullptr, nullptr}))
          ASSERT_EQ(byte, std::min(std::max(2 * value - 50, 0), 255)) << size;
      });
  }
}

}  // namespace
}  // namespace tvn
