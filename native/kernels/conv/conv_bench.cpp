// GFLOP/s and share of the FMA peak of the dense convolution kernels: every distinct layer of TVN-1…4 with C >= 64, batch 1, and the
// layers of small networks in training, batch 16. Names: kernel/NxTxHxWxC-OC/kernel/stride/threads.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <random>
#include <string>

#include "core/buffer.h"
#include "kernels/conv/conv.h"
#include "runtime/measure.h"

namespace tvn {
namespace {

struct Layer {
  Shape x;
  int64_t output_channels;
  int kt, k, st, s;  // square kernels
};

constexpr Layer layers[] = {
    // TVN-1
    {{1, 2, 224, 224, 64}, 64, 1, 4, 1, 2},
    {{1, 1, 112, 112, 64}, 256, 1, 1, 1, 1},
    {{1, 1, 112, 112, 256}, 64, 1, 1, 1, 1},
    {{1, 1, 112, 112, 64}, 64, 1, 4, 1, 1},
    {{1, 1, 56, 56, 256}, 512, 1, 1, 1, 1},
    {{1, 1, 56, 56, 512}, 128, 1, 1, 1, 1},
    {{1, 1, 56, 56, 512}, 512, 1, 1, 1, 3},
    {{1, 1, 19, 19, 128}, 512, 1, 1, 1, 1},
    {{1, 1, 19, 19, 512}, 128, 1, 1, 1, 1},
    {{1, 1, 19, 19, 512}, 512, 1, 1, 1, 1},
    {{1, 1, 19, 19, 512}, 256, 1, 1, 1, 1},
    {{1, 1, 19, 19, 256}, 256, 1, 3, 1, 2},
    {{1, 1, 10, 10, 256}, 2048, 1, 1, 1, 1},
    {{1, 1, 10, 10, 2048}, 256, 1, 1, 1, 1},
    {{1, 1, 10, 10, 256}, 256, 1, 3, 1, 1},
    // TVN-2
    {{1, 2, 86, 86, 64}, 64, 2, 1, 1, 1},
    {{1, 2, 86, 86, 64}, 256, 1, 1, 1, 1},
    {{1, 2, 86, 86, 256}, 256, 1, 1, 1, 1},
    {{1, 2, 86, 86, 128}, 128, 1, 4, 1, 2},
    {{1, 1, 43, 43, 128}, 512, 1, 1, 1, 1},
    {{1, 1, 43, 43, 512}, 128, 1, 1, 1, 1},
    {{1, 1, 43, 43, 128}, 128, 1, 4, 1, 1},
    {{1, 1, 43, 43, 512}, 512, 1, 1, 1, 1},
    {{1, 1, 43, 43, 1024}, 1024, 1, 1, 1, 1},
    {{1, 1, 22, 22, 1024}, 1024, 1, 1, 1, 1},
    {{1, 1, 8, 8, 1024}, 2048, 1, 1, 1, 1},
    {{1, 1, 8, 8, 2048}, 2048, 1, 1, 1, 1},
    {{1, 1, 3, 3, 2048}, 512, 1, 1, 1, 1},
    {{1, 1, 3, 3, 2048}, 2088, 1, 1, 1, 1},
    // TVN-3
    {{1, 8, 80, 80, 64}, 64, 5, 1, 2, 1},
    {{1, 4, 80, 80, 64}, 192, 1, 1, 1, 1},
    {{1, 4, 80, 80, 192}, 256, 1, 1, 1, 1},
    {{1, 4, 80, 80, 192}, 1280, 1, 1, 1, 2},
    {{1, 4, 40, 40, 256}, 1280, 1, 1, 1, 1},
    {{1, 4, 40, 40, 1280}, 256, 1, 1, 1, 1},
    {{1, 4, 40, 40, 1280}, 1280, 1, 1, 1, 1},
    {{1, 4, 40, 40, 1280}, 512, 1, 1, 1, 4},
    {{1, 2, 10, 10, 256}, 512, 1, 1, 1, 1},
    {{1, 2, 10, 10, 512}, 512, 1, 3, 1, 2},
    {{1, 1, 5, 5, 512}, 2560, 1, 1, 1, 1},
    {{1, 1, 5, 5, 2560}, 512, 1, 1, 1, 1},
    {{1, 1, 5, 5, 512}, 512, 1, 3, 1, 1},
    // TVN-4
    {{1, 8, 128, 128, 64}, 64, 1, 5, 1, 2},
    {{1, 8, 64, 64, 64}, 64, 3, 1, 2, 1},
    {{1, 4, 64, 64, 64}, 256, 1, 1, 1, 1},
    {{1, 4, 64, 64, 256}, 64, 1, 1, 1, 1},
    {{1, 8, 64, 64, 64}, 64, 1, 5, 1, 1},
    {{1, 4, 64, 64, 256}, 256, 1, 1, 1, 1},
    {{1, 2, 32, 32, 256}, 1536, 1, 1, 1, 1},
    {{1, 2, 32, 32, 1536}, 256, 1, 1, 1, 1},
    {{1, 2, 11, 11, 256}, 2048, 1, 1, 1, 1},
    {{1, 2, 11, 11, 2048}, 256, 1, 1, 1, 1},
    // small networks in training
    {{16, 8, 48, 48, 3}, 8, 1, 1, 1, 1},
    {{16, 8, 48, 48, 3}, 8, 1, 3, 1, 1},
    {{16, 8, 48, 48, 8}, 8, 1, 3, 1, 2},
    {{16, 8, 24, 24, 8}, 8, 1, 1, 1, 1},
    {{16, 8, 24, 24, 8}, 8, 1, 3, 1, 1},
    {{16, 8, 24, 24, 8}, 8, 1, 5, 1, 1},
    {{16, 8, 24, 24, 8}, 8, 3, 1, 1, 1},
    {{16, 8, 24, 24, 8}, 8, 5, 1, 2, 1},
    {{16, 8, 24, 24, 8}, 16, 1, 1, 1, 1},
    {{16, 8, 24, 24, 16}, 16, 1, 3, 1, 1},
    {{16, 8, 24, 24, 16}, 16, 1, 3, 1, 2},
    {{16, 8, 24, 24, 16}, 16, 3, 1, 1, 1},
    {{16, 12, 12, 12, 24}, 24, 1, 1, 1, 1},
    {{16, 12, 12, 12, 24}, 24, 1, 3, 1, 1},
    {{16, 12, 12, 12, 24}, 24, 5, 1, 1, 1},
    {{16, 8, 12, 12, 24}, 48, 1, 1, 1, 1},
    {{16, 8, 12, 12, 48}, 48, 1, 5, 1, 2},
    {{16, 4, 6, 6, 48}, 96, 1, 1, 1, 1},
    {{16, 4, 6, 6, 48}, 48, 1, 3, 1, 1},
    {{16, 4, 6, 6, 96}, 96, 3, 1, 1, 1},
};

ConvShape shape(const Layer& l) {
  const WindowAxis t = same_axis(l.x.t, l.kt, l.st), h = same_axis(l.x.h, l.k, l.s), w = same_axis(l.x.w, l.k, l.s);
  return {l.x, {l.x.n, t.out, h.out, w.out, l.output_channels}, {l.kt, l.k, l.k, l.st, l.s, l.s, t.pad_front, h.pad_front, w.pad_front}};
}

std::string name(const Layer& l) {
  char text[96];
  std::snprintf(text, sizeof text, "%dx%dx%dx%dx%d-%d/k%dx%dx%d/s%dx%dx%d", static_cast<int>(l.x.n), static_cast<int>(l.x.t),
                static_cast<int>(l.x.h), static_cast<int>(l.x.w), static_cast<int>(l.x.c), static_cast<int>(l.output_channels), l.kt, l.k,
                l.k, l.st, l.s, l.s);
  return text;
}

Buffer<float> random_floats(int64_t count) {
  static std::mt19937 random(1);
  Buffer<float> buffer(static_cast<std::size_t>(count));
  for (float& v : buffer) v = std::uniform_real_distribution<float>(-1, 1)(random);
  return buffer;
}

struct Data {
  explicit Data(const ConvShape& s)
      : x(random_floats(s.x.size())),
        w(random_floats(s.window.taps() * s.x.c * s.y.c)),
        b(random_floats(s.y.c)),
        y(random_floats(s.y.size())) {}
  Buffer<float> x, w, b, y;
};

ConvForwardArgs arguments(const ConvKernel<ConvForwardArgs>&, Data& d, float* packed, float* scratch) {
  return {d.x.data(), packed, d.b.data(), nullptr, Function::relu, d.y.data(), scratch};
}
ConvDataGradientArgs arguments(const ConvKernel<ConvDataGradientArgs>&, Data& d, float* packed, float* scratch) {
  return {d.y.data(), packed, false, d.x.data(), scratch};
}
ConvWeightGradientArgs arguments(const ConvKernel<ConvWeightGradientArgs>&, Data& d, float*, float* scratch) {
  return {d.x.data(), d.y.data(), d.w.data(), d.b.data(), scratch};
}

template <class Args>
void run(benchmark::State& state, const ConvKernel<Args>& kernel, const ConvShape& s, int threads) {
  using Clock = std::chrono::steady_clock;
  ThreadPool pool(threads);
  Data data(s);
  Buffer<float> packed(kernel.packed_size(s)), scratch(kernel.scratch_size(s, threads));
  if (kernel.pack) kernel.pack(s, data.w.data(), packed.data(), pool);
  const Args args = arguments(kernel, data, packed.data(), scratch.data());
  const double peak = measure_peak(kernel.isa, 20, kernel.precision) * threads;
  double seconds = 1e9;
  for (auto _ : state) {
    const auto begin = Clock::now();
    kernel.run(s, args, pool);
    seconds = std::min(seconds, std::chrono::duration<double>(Clock::now() - begin).count());
  }
  const double gflops = 2e-9 * static_cast<double>(s.y.size() * s.window.taps() * s.x.c) / seconds;  // of the fastest run
  state.counters["GFLOP/s"] = gflops;
  state.counters["%peak"] = 100 * gflops / peak;
}

template <class Args>
void add(std::span<const ConvKernel<Args>> kernels) {
  for (const ConvKernel<Args>& kernel : kernels) {
    if (kernel.isa > allowed_isa() || kernel.isa == Isa::reference) continue;
    for (const Layer& layer : layers)
      for (const int threads : {1, 2}) {
        const std::string title = std::string(kernel.name) + "/" + name(layer) + "/" + std::to_string(threads);
        benchmark::RegisterBenchmark(title.c_str(),
                                     [kernel, s = shape(layer), threads](benchmark::State& state) { run(state, kernel, s, threads); })
            ->UseRealTime()
            ->Unit(benchmark::kMillisecond);
      }
  }
}

const bool added = [] {
  add(conv_forward_kernels());
  add(conv_data_gradient_kernels());
  add(conv_weight_gradient_kernels());
  return true;
}();

}  // namespace
}  // namespace tvn
