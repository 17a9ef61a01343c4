// GFLOP/s of the depthwise kernels on the layers of TVN-1…4 and of small networks in training. Args: frames, size, C, kernel, stride.
#include <benchmark/benchmark.h>

#include <random>
#include <string>

#include "core/buffer.h"
#include "kernels/depthwise/depthwise.h"

namespace tvn {
namespace {

DepthwiseShape same_shape(int64_t frames, int64_t size, int64_t channels, int kernel, int stride) {
  const WindowAxis axis = same_axis(size, kernel, stride);
  DepthwiseShape s;
  s.x = {1, frames, size, size, channels};
  s.y = {1, frames, axis.out, axis.out, channels};
  s.window = {1, kernel, kernel, 1, stride, stride, 0, axis.pad_front, axis.pad_front};
  return s;
}

Buffer<float> random_floats(int64_t count) {
  static std::mt19937 random(1);
  Buffer<float> buffer(static_cast<std::size_t>(count));
  for (float& v : buffer) v = std::uniform_real_distribution<float>(-1, 1)(random);
  return buffer;
}

struct Data {
  explicit Data(const DepthwiseShape& s)
      : x(random_floats(s.x.size())),
        w(random_floats(s.window.taps() * s.x.c)),
        y(random_floats(s.y.size())),
        scratch(random_floats(static_cast<int64_t>(depthwise_weight_gradient_scratch(s)))) {}
  Buffer<float> x, w, y, scratch;
};

void call(DepthwiseForward* run, const DepthwiseShape& s, Data& d, ThreadPool& pool) {
  run(s, {d.x.data(), d.w.data(), nullptr, Function::none, d.y.data()}, pool);
}
void call(DepthwiseDataGradient* run, const DepthwiseShape& s, Data& d, ThreadPool& pool) {
  run(s, {d.y.data(), d.w.data(), false, d.x.data()}, pool);
}
void call(DepthwiseWeightGradient* run, const DepthwiseShape& s, Data& d, ThreadPool& pool) {
  run(s, {d.x.data(), d.y.data(), d.w.data(), nullptr, d.scratch.data()}, pool);
}

constexpr int64_t shapes[][5] = {
    {128, 24, 8, 3, 1}, {128, 24, 24, 3, 1}, {128, 24, 48, 3, 1}, {128, 24, 96, 5, 2}, {64, 12, 144, 5, 1},
    {1, 56, 128, 5, 3}, {1, 19, 128, 5, 1},  {2, 86, 64, 5, 1},   {2, 43, 1024, 4, 1}, {8, 80, 64, 3, 1},
    {8, 80, 256, 3, 2}, {8, 40, 256, 3, 1},  {2, 64, 256, 5, 2},  {2, 32, 256, 5, 1},
};

template <class Function>
void add(std::span<const Kernel<Function>> kernels) {
  for (const Kernel<Function>& kernel : kernels) {
    if (kernel.isa > detected_isa() || kernel.isa == Isa::reference) continue;
    for (const auto& [frames, size, channels, window, stride] : shapes) {
      const DepthwiseShape s = same_shape(frames, size, channels, static_cast<int>(window), static_cast<int>(stride));
      const std::string name = std::string(kernel.name) + "/" + std::to_string(frames) + "x" + std::to_string(size) + "x" +
                               std::to_string(channels) + "/k" + std::to_string(window) + "s" + std::to_string(stride);
      benchmark::RegisterBenchmark(name.c_str(), [s, run = kernel.run](benchmark::State& state) {
        ThreadPool pool(1);
        Data data(s);
        for (auto _ : state) call(run, s, data, pool);
        const double products = static_cast<double>(s.y.size()) * s.window.taps();
        state.counters["GFLOP/s"] = benchmark::Counter(2e-9 * products, benchmark::Counter::kIsIterationInvariantRate);
        const double bytes = 4.0 * static_cast<double>(s.x.size() + s.y.size());
        state.counters["GB/s"] = benchmark::Counter(1e-9 * bytes, benchmark::Counter::kIsIterationInvariantRate);
      });
    }
  }
}

const bool added = [] {
  add(depthwise_forward_kernels());
  add(depthwise_data_gradient_kernels());
  add(depthwise_weight_gradient_kernels());
  return true;
}();

}  // namespace
}  // namespace tvn
