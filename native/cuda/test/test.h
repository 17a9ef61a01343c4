// A small test harness: the machine with the GPU has nvcc and cmake, and no test library. C++17.
//
//   CUDA_TEST(pool_forward_is_the_reference) { Random random; … expect_close(got, want, …); }
//
// tvn_cuda_test [--list] [name part…] runs those whose name holds one of the parts. TVN_TEST_SEED=<n> repeats a failure.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cuda/device/platform.h"

namespace tvn::cuda::test {

struct Test {
  const char* name;
  void (*run)();
};
std::vector<Test>& tests();

struct Registration {
  Registration(const char* name, void (*run)()) { tests().push_back({name, run}); }
};
#define CUDA_TEST(name)                                                      \
  static void name();                                                        \
  static const tvn::cuda::test::Registration name##_registered{#name, name}; \
  static void name()

/** Counts a failure of the running test and prints it with what Trace says. */
void fail(const std::string& what);
#define EXPECT(condition) \
  ((condition) ? void() : tvn::cuda::test::fail(std::string(__FILE__) + ":" + std::to_string(__LINE__) + ": expected " #condition))

/** While it lives, failures are printed with this text: the case they happened in. */
class Trace {
 public:
  explicit Trace(std::string text);
  ~Trace();
};

uint64_t seed();

/** Sets a variable of the environment as long as it lives; null: it is not set. */
class WithEnvironment {
 public:
  WithEnvironment(const char* name, const char* value) : name_(name) {
    if (const char* const before = std::getenv(name)) before_ = before;
    set(value);
  }
  WithEnvironment(const WithEnvironment&) = delete;
  WithEnvironment& operator=(const WithEnvironment&) = delete;
  ~WithEnvironment() { set(before_ ? before_->c_str() : nullptr); }

 private:
  void set(const char* value) { value ? setenv(name_, value, 1) : unsetenv(name_); }
  const char* name_;
  std::optional<std::string> before_;
};

/** splitmix64 */
class Random {
 public:
  explicit Random(uint64_t from = seed()) : state_(from) {}
  uint64_t bits();
  double uniform(double low, double high) { return low + (high - low) * static_cast<double>(bits() >> 11) * 0x1p-53; }
  int integer(int low, int high) { return low + static_cast<int>(bits() % static_cast<uint64_t>(high - low + 1)); }

 private:
  uint64_t state_;
};

/** Small ones, so that every sum of products is exact. */
inline std::vector<half> integers(Random& random, int count) {
  std::vector<half> values(static_cast<size_t>(count));
  for (half& value : values) value = __float2half(static_cast<float>(random.integer(-8, 8)));
  return values;
}

inline float to_float(float x) { return x; }
inline float to_float(uint8_t x) { return x; }
inline float to_float(half x) { return __half2float(x); }
inline void from_double(double x, float& to) { to = static_cast<float>(x); }
inline void from_double(double x, half& to) { to = __float2half(static_cast<float>(x)); }

void check(cudaError_t error, const char* what);

/** An array on the device between guards, which are looked at when it dies: nothing may write outside of it. */
template <class T>
class DeviceArray {
 public:
  explicit DeviceArray(size_t count) : count_(count) {
    check(cudaMalloc(&base_, count * sizeof(T) + 2 * guard_bytes), "cudaMalloc");
    check(cudaMemset(base_, guard_value, count * sizeof(T) + 2 * guard_bytes), "cudaMemset");  // NaN in every float type
  }
  explicit DeviceArray(const std::vector<T>& values) : DeviceArray(values.size()) {
    if (!values.empty()) check(cudaMemcpy(data(), values.data(), values.size() * sizeof(T), cudaMemcpyHostToDevice), "cudaMemcpy");
  }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;
  ~DeviceArray() {
    check(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
    for (const size_t at : {size_t{0}, guard_bytes + count_ * sizeof(T)}) {
      unsigned char guard[guard_bytes];
      check(cudaMemcpy(guard, base_ + at, guard_bytes, cudaMemcpyDeviceToHost), "cudaMemcpy");
      for (const unsigned char byte : guard)
        if (byte != guard_value) {
          fail(at == 0 ? "something was written in front of an array" : "something was written behind an array");
          break;
        }
    }
    check(cudaFree(base_), "cudaFree");
  }

  T* data() { return reinterpret_cast<T*>(base_ + guard_bytes); }
  size_t size() const { return count_; }
  std::vector<T> read() {
    check(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
    std::vector<T> values(count_);
    if (count_) check(cudaMemcpy(values.data(), data(), count_ * sizeof(T), cudaMemcpyDeviceToHost), "cudaMemcpy");
    return values;
  }
  /** As f64, for comparing. */
  std::vector<double> doubles() {
    std::vector<double> values;
    for (const T& value : read()) values.push_back(static_cast<double>(to_float(value)));
    return values;
  }

 private:
  static constexpr size_t guard_bytes = 256;
  static constexpr int guard_value = 0xFF;
  unsigned char* base_ = nullptr;
  size_t count_;
};

/** Rows of `channels` values in rows of `stored` ones, the rest zero; values are already rounded to T, so that a reference sees the same.
 */
template <class T>
std::vector<T> random_rows(Random& random, size_t rows, int channels, int stored, double spread = 1, double center = 0) {
  std::vector<T> values(rows * static_cast<size_t>(stored));
  for (size_t r = 0; r < rows; r++)
    for (int c = 0; c < stored; c++) {
      const double value = random.bits() % 16 == 0 ? center : random.uniform(center - spread, center + spread);
      from_double(c < channels ? value : 0.0, values[r * static_cast<size_t>(stored) + static_cast<size_t>(c)]);
    }
  return values;
}

template <class T>
std::vector<double> to_doubles(const std::vector<T>& values) {
  std::vector<double> doubles;
  for (const T& value : values) doubles.push_back(static_cast<double>(to_float(value)));
  return doubles;
}

/**
 * How far a result may lie from the f64 reference: the rounding of the result to its type, the f32 rounding errors of a sum of `terms`
 * products, of which each is at most half an ulp of the sum of magnitudes so far (a bound, not a guess), and the rounding to halves of
 * `halves` intermediate values that it is made of.
 *
 *   |got − want| <= output·|want| + (terms + 8)·2⁻²⁴·magnitude + halves·2⁻¹¹·magnitude + smallest
 */
struct Tolerance {
  double output = 0x1p-11;  // 2⁻¹¹ for a half, 2⁻²⁴ for a float
  double terms = 1;
  double halves = 0;
  double smallest = 0x1p-24;  // the smallest half

  double at(double want, double magnitude) const;
};

/** `magnitudes`: the sum of the terms' absolute values, element by element; empty: the reference itself. NaN and infinities must come where
 * wanted. */
void expect_close(const std::vector<double>& got, const std::vector<double>& want, const Tolerance& tolerance,
                  const std::vector<double>& magnitudes = {});

}  // namespace tvn::cuda::test
