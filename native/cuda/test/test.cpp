#include "cuda/test/test.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>

namespace tvn::cuda::test {
namespace {

int failures = 0;
std::vector<std::string>& traces() {
  static std::vector<std::string> list;
  return list;
}

}  // namespace

std::vector<Test>& tests() {
  static std::vector<Test> list;
  return list;
}

void fail(const std::string& what) {
  failures++;
  std::printf("  %s\n", what.c_str());
  for (const std::string& trace : traces()) std::printf("    in %s\n", trace.c_str());
  if (failures > 100) {
    std::printf("too many failures\n");
    std::exit(1);
  }
}

Trace::Trace(std::string text) { traces().push_back(std::move(text)); }
Trace::~Trace() { traces().pop_back(); }

uint64_t seed() {
  const char* text = std::getenv("TVN_TEST_SEED");
  return text ? std::strtoull(text, nullptr, 10) : 1;
}

uint64_t Random::bits() {
  uint64_t z = state_ += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  fail(std::string(what) + ": " + cudaGetErrorString(error));
}

double Tolerance::at(double want, double magnitude) const {
  return output * std::fabs(want) + ((terms + 8) * 0x1p-24 + halves * 0x1p-11) * magnitude + smallest;
}

void expect_close(const std::vector<double>& got, const std::vector<double>& want, const Tolerance& tolerance,
                  const std::vector<double>& magnitudes) {
  if (got.size() != want.size() || (!magnitudes.empty() && magnitudes.size() != want.size())) {
    fail("sizes differ: got " + std::to_string(got.size()) + ", want " + std::to_string(want.size()));
    return;
  }
  double worst = 1;
  size_t at = got.size();
  for (size_t i = 0; i < got.size(); i++) {
    const double g = got[i], w = want[i];
    if (g == w || (std::isnan(g) && std::isnan(w))) continue;
    double excess = std::fabs(g - w) / tolerance.at(w, magnitudes.empty() ? std::fabs(w) : magnitudes[i]);
    if (!(excess < HUGE_VAL)) excess = HUGE_VAL;
    if (excess > worst) {
      worst = excess;
      at = i;
    }
  }
  if (at < got.size()) {
    char text[200];
    std::snprintf(text, sizeof text, "element %zu of %zu: got %.9g, want %.9g, %.3g times the tolerance; TVN_TEST_SEED=%llu repeats it", at,
                  got.size(), got[at], want[at], worst, static_cast<unsigned long long>(seed()));
    fail(text);
  }
}

/** The number of tests that failed. */
int run_tests(int argc, char** argv) {
  int failed = 0, ran = 0;
  for (const Test& test : tests()) {
    bool wanted = argc < 2;
    for (int i = 1; i < argc; i++) wanted |= std::strstr(test.name, argv[i]) != nullptr || std::strcmp(argv[i], "--list") == 0;
    if (!wanted) continue;
    if (argc > 1 && std::strcmp(argv[1], "--list") == 0) {
      std::printf("%s\n", test.name);
      continue;
    }
    ran++;
    failures = 0;
    try {
      test.run();
    } catch (const std::exception& error) {
      fail(error.what());
    }
    if (const cudaError_t error = cudaGetLastError(); error != cudaSuccess) fail(cudaGetErrorString(error));
    failed += failures > 0;
    std::printf("%s %s\n", failures > 0 ? "FAILED" : "ok    ", test.name);
    std::fflush(stdout);
  }
  if (argc < 2 || std::strcmp(argv[1], "--list") != 0) std::printf("%d tests, %d failed\n", ran, failed);
  return failed + (ran == 0 && !(argc > 1 && std::strcmp(argv[1], "--list") == 0));
}

}  // namespace tvn::cuda::test

int main(int argc, char** argv) { return tvn::cuda::test::run_tests(argc, argv) > 0; }
