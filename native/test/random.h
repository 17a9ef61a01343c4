// Seeded test data. A failure prints the seed; TVN_TEST_SEED=<n> repeats it or tries another.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <source_location>
#include <span>
#include <string>

#include "test/guarded_buffer.h"

namespace tvn::test {

inline uint64_t seed() {
  const char* text = std::getenv("TVN_TEST_SEED");
  return text ? std::strtoull(text, nullptr, 10) : 1;
}

/** A generator (splitmix64) for one test. While it lives, failures say how to repeat them. */
class Random {
 public:
  explicit Random(std::source_location where = std::source_location::current())
      : Random(seed(), "repeat with TVN_TEST_SEED=" + std::to_string(seed()), where) {}
  /** For a test with a seed of its own. */
  Random(uint64_t seed, const std::string& repeat, std::source_location where = std::source_location::current())
      : state_(seed), trace_(where.file_name(), static_cast<int>(where.line()), repeat) {}

  uint64_t bits() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  /** Uniform in [low, high). */
  double uniform(double low, double high) { return low + (high - low) * static_cast<double>(bits() >> 11) * 0x1p-53; }
  /** A whole number in [low, high]. */
  int64_t integer(int64_t low, int64_t high) { return low + static_cast<int64_t>(bits() % static_cast<uint64_t>(high - low + 1)); }

  /** Uniform in [center − spread, center + spread); about one value in 16 is exactly `center` (0: the corner of relu, a padded pixel). */
  template <class Real>
  void fill(std::span<Real> x, double spread = 1, double center = 0) {
    for (Real& value : x) value = static_cast<Real>(bits() % 16 == 0 ? center : uniform(center - spread, center + spread));
  }

  /** A filled buffer, see GuardedBuffer and fill. */
  template <class Real = float>
  GuardedBuffer<Real> buffer(int64_t count, size_t misalign = 0, double spread = 1, double center = 0) {
    GuardedBuffer<Real> x(count, misalign);
    fill<Real>(x, spread, center);
    return x;
  }

 private:
  uint64_t state_;
  testing::ScopedTrace trace_;
};

}  // namespace tvn::test
