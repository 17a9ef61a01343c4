#include "cuda/kernels/elementwise.h"

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "cuda/device/random.h"
#include "cuda/test/compare.h"
#include "cuda/test/test.h"
#include "cuda/test/windows.h"
#include "kernels/dropout/random.h"

namespace tvn::cuda {
namespace {

using namespace test;
using Doubles = std::vector<double>;

constexpr int hostile_rows[] = {0, 1, 2, 3, 31, 33, 257};
constexpr Function functions[] = {Function::none, Function::relu, Function::hswish, Function::sigmoid};
const char* const names[] = {"none", "relu", "hswish", "sigmoid"};

/** Around the kinks of every function, and rarely NaN or infinite. */
std::vector<half> wild_rows(Random& random, int rows, int channels, bool wild) {
  std::vector<half> values = random_rows<half>(random, static_cast<size_t>(rows), channels, stored_channels(channels), 5);
  for (size_t i = 0; i < values.size(); i++) {
    if (static_cast<int>(i) % stored_channels(channels) >= channels) continue;
    constexpr float special[] = {3, -3, 0, std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(), NAN};
    if (random.integer(0, 9) == 0) values[i] = __float2half(special[random.integer(0, wild ? 5 : 2)]);
  }
  return values;
}

/** Calls f(random, rows, channels, function). */
template <class F>
void for_each_case(const F& f) {
  Random random;
  for (const Function function : functions)
    for (const int channels : hostile_channels)
      for (const int rows : hostile_rows) {
        const Trace trace(std::string(names[static_cast<int>(function)]) + ", " + std::to_string(rows) + " rows of " +
                          std::to_string(channels) + " channels");
        f(random, rows, channels, function);
      }
}

/** f'(x), from x or from y as the kernel may read. */
double slope(Function function, double seen) {
  if (function == Function::sigmoid) return seen * (1 - seen);
  return std::isnan(seen) && function != Function::none ? seen : reference_derivative(function, seen);
}

CUDA_TEST(normalize_is_the_reference) {
  Random random;
  for (const int rows : {0, 1, 2, 85, 86, 256, 1000}) {
    std::vector<uint8_t> bytes(static_cast<size_t>(3 * rows));
    for (size_t i = 0; i < bytes.size(); i++)
      bytes[i] = rows == 86 ? static_cast<uint8_t>(i) : static_cast<uint8_t>(random.integer(0, 255));
    Doubles want(static_cast<size_t>(8 * rows));
    for (size_t i = 0; i < want.size(); i++) want[i] = i % 8 < 3 ? bytes[i / 8 * 3 + i % 8] / 127.5 - 1 : 0;
    DeviceArray<uint8_t> x(bytes);
    DeviceArray<half> y(want.size());
    normalize(rows, x.data(), y.data(), nullptr);
    expect_close(y.doubles(), want, {0x1p-11, 2}, Doubles(want.size(), 1));
  }
}

CUDA_TEST(activation_forward_is_the_reference) {
  for_each_case([](Random& random, int rows, int channels, Function function) {
    const std::vector<half> values = wild_rows(random, rows, channels, true);
    const int stored = stored_channels(channels);
    Doubles want = to_doubles(values);
    for (size_t i = 0; i < want.size(); i++) want[i] = static_cast<int>(i) % stored < channels ? reference(function, want[i]) : 0;
    DeviceArray<half> x(values), y(values.size());
    activation_forward(function, rows, stored, channels, x.data(), y.data(), nullptr);
    expect_close(y.doubles(), want, {0x1p-11, 4});
    activation_forward(function, rows, stored, channels, x.data(), x.data(), nullptr);
    expect_same_bits(x, y.read());
  });
}

CUDA_TEST(activation_backward_is_the_reference) {
  int number = 0;
  for_each_case([&](Random& random, int rows, int channels, Function function) {
    const bool accumulate = number++ % 2;
    const std::vector<half> seen = wild_rows(random, rows, channels, number % 3 == 0), gradients = wild_rows(random, rows, channels, false),
                            before = wild_rows(random, rows, channels, false);
    Doubles want = to_doubles(gradients), size(want.size());
    const Doubles at = to_doubles(seen), was = to_doubles(before);
    for (size_t i = 0; i < want.size(); i++) {
      const double d = want[i] * slope(function, at[i]), base = accumulate ? was[i] : 0;
      size[i] = std::fabs(base) + 3 * std::fabs(want[i]);  // the terms of hswish' are no larger; nor are those of sigmoid'
      want[i] = base + d;
    }
    DeviceArray<half> from(seen), dy(gradients), dx(before);
    const half* x = function == Function::hswish ? from.data() : nullptr;
    const half* y = function == Function::relu || function == Function::sigmoid ? from.data() : nullptr;
    activation_backward(function, want.size(), {x, y, dy.data(), accumulate, dx.data()}, nullptr);
    expect_close(dx.doubles(), want, {0x1p-11, 4}, size);
    if (accumulate) return;
    activation_backward(function, want.size(), {x, y, dy.data(), false, dy.data()}, nullptr);
    expect_same_bits(dy, dx.read());
  });
}

CUDA_TEST(activation_references_are_gradients) {
  Random random;
  for (const Function function : functions) {
    const Trace trace(names[static_cast<int>(function)]);
    Doubles x;
    while (x.size() < 200)
      if (const double value = random.uniform(-5, 5); !jumps_near(function, value)) x.push_back(value);
    Doubles gradient;
    for (const double value : x) {
      const bool from_y = function == Function::relu || function == Function::sigmoid;
      gradient.push_back(slope(function, from_y ? reference(function, value) : value));
    }
    expect_gradient("x", x, gradient, [&] {
      double sum = 0;
      for (const double value : x) sum += reference(function, value);
      return sum;
    });
  }
}

CUDA_TEST(add_forward_is_the_reference) {
  for_each_case([](Random& random, int rows, int channels, Function function) {
    if (function == Function::sigmoid && channels % vector_width) return;  // would not keep the padding zero
    const std::vector<half> first = wild_rows(random, rows, channels, true), second = wild_rows(random, rows, channels, false);
    Doubles want = to_doubles(first), size(want.size());
    const Doubles more = to_doubles(second);
    for (size_t i = 0; i < want.size(); i++) {
      size[i] = 1.5 * (std::fabs(want[i]) + std::fabs(more[i]));
      want[i] = reference(function, want[i] + more[i]);
    }
    DeviceArray<half> a(first), b(second), y(first.size());
    add_forward(function, want.size(), a.data(), b.data(), y.data(), nullptr);
    expect_close(y.doubles(), want, {0x1p-11, 4}, size);
    DeviceArray<half> to_a(first), to_b(second);
    add_forward(function, want.size(), to_a.data(), b.data(), to_a.data(), nullptr);
    expect_same_bits(to_a, y.read());
    add_forward(function, want.size(), a.data(), to_b.data(), to_b.data(), nullptr);
    expect_same_bits(to_b, y.read());
  });
}

CUDA_TEST(add_backward_is_the_reference) {
  int number = 0;
  for_each_case([&](Random& random, int rows, int channels, Function function) {
    if (function != Function::none && function != Function::relu) return;
    const std::vector<half> outputs = wild_rows(random, rows, channels, number % 3 == 0),
                            gradients = wild_rows(random, rows, channels, false);
    const std::vector<half> before[2] = {wild_rows(random, rows, channels, false), wild_rows(random, rows, channels, false)};
    const Doubles y = to_doubles(outputs), dy = to_doubles(gradients);
    const bool accumulate[2] = {number % 2 > 0, number / 2 % 2 > 0};
    number++;
    Doubles want[2], size[2];
    for (int side = 0; side < 2; side++) {
      want[side] = to_doubles(before[side]);
      for (size_t i = 0; i < y.size(); i++) {
        const double base = accumulate[side] ? want[side][i] : 0, d = dy[i] * (function == Function::relu ? slope(function, y[i]) : 1);
        want[side][i] = base + d;
        size[side].push_back(std::fabs(base) + std::fabs(dy[i]));
      }
    }
    DeviceArray<half> seen(outputs), d(gradients), da(before[0]), db(before[1]), again(before[0]);
    const half* y_or_null = function == Function::relu ? seen.data() : nullptr;
    add_backward(function, y.size(), {y_or_null, d.data(), accumulate[0], accumulate[1], da.data(), db.data()}, nullptr);
    expect_close(da.doubles(), want[0], {0x1p-11, 2}, size[0]);
    expect_close(db.doubles(), want[1], {0x1p-11, 2}, size[1]);
    add_backward(function, y.size(), {y_or_null, d.data(), accumulate[0], false, again.data(), nullptr}, nullptr);
    expect_same_bits(again, da.read());
    if (accumulate[1]) return;
    add_backward(function, y.size(), {y_or_null, d.data(), false, false, nullptr, d.data()}, nullptr);
    expect_same_bits(d, db.read());
  });
}

CUDA_TEST(dropout_draws_as_the_cpu_does) {
  Random random;
  for (int i = 0; i < 1000; i++) {
    const uint64_t seed = random.bits();
    const uint32_t index = static_cast<uint32_t>(random.bits());
    const float rate = static_cast<float>(random.uniform(0, 1));
    EXPECT(cuda::DropoutRandom(seed)(index) == tvn::DropoutRandom(seed)(index));
    EXPECT(cuda::dropout_threshold(rate) == tvn::dropout_threshold(rate));
  }
}

CUDA_TEST(dropout_is_the_reference) {
  Random random;
  int number = 0;
  for (const int channels : hostile_channels)
    for (const int rows : hostile_rows) {
      const Trace trace(std::to_string(rows) + " rows of " + std::to_string(channels) + " channels");
      const int stored = stored_channels(channels);
      const float rate = number % 3 ? static_cast<float>(random.uniform(0, 0.9)) : 0;
      const bool accumulate = number++ % 2;
      const unsigned long long seed = random.bits();
      const std::vector<half> values = wild_rows(random, rows, channels, false), before = wild_rows(random, rows, channels, false);
      const tvn::DropoutRandom draw(seed);
      Doubles want = to_doubles(values), size;
      const Doubles was = to_doubles(before);
      for (size_t i = 0; i < want.size(); i++) {
        const int row = static_cast<int>(i) / stored, channel = static_cast<int>(i) % stored;
        const bool kept = channel < channels && draw(static_cast<uint32_t>(row * channels + channel)) >= tvn::dropout_threshold(rate);
        const double d = kept ? want[i] / (1 - static_cast<double>(rate)) : 0, base = accumulate ? was[i] : 0;
        want[i] = base + d;
        size.push_back(std::fabs(base) + std::fabs(d));
      }
      DeviceArray<half> x(values), y(before);
      DeviceArray<unsigned long long> device_seed(std::vector<unsigned long long>{seed});
      dropout({rows, stored, channels, rate, device_seed.data(), x.data(), y.data(), accumulate}, nullptr);
      expect_close(y.doubles(), want, {0x1p-11, 3}, size);
      if (accumulate) continue;
      dropout({rows, stored, channels, rate, device_seed.data(), x.data(), x.data(), false}, nullptr);
      expect_same_bits(x, y.read());
    }
}

}  // namespace
}  // namespace tvn::cuda
