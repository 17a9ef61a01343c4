// Memory traffic of the passes around the convolutions, in GB/s of what each must read and write, on one core.
// Tensors are those of a training step of a small network: 16 clips, [rows, C] of `size` floats.
#include <benchmark/benchmark.h>

#include <string>

#include "core/buffer.h"
#include "kernels/activation/activation.h"
#include "kernels/add/add.h"
#include "kernels/batch_norm/batch_norm.h"
#include "kernels/gate/gate.h"
#include "kernels/mean/mean.h"
#include "kernels/sgd/sgd.h"

namespace tvn {
namespace {

/** Deterministic values in [−1, 1), from Weyl's sequence. */
Buffer<float> values(int64_t count) {
  Buffer<float> x(static_cast<size_t>(count));
  double at = 0.5;
  for (float& value : x) {
    at += 0.6180339887498949;
    at -= at >= 1 ? 1 : 0;
    value = static_cast<float>(2 * at - 1);
  }
  return x;
}

/** Everything the ops need for one shape. */
struct Tensors {
  Tensors(int64_t size, int64_t c) : rows(size / c / 16 * 16), channels(c), x(values(rows * c)), b(values(rows * c)), y(values(rows * c)) {
    for (Buffer<float>* per_channel : {&mean, &variance, &gamma, &beta, &dgamma, &dbeta}) *per_channel = values(channels);
    for (float& value : variance) value = value * value + 0.1f;
    z = values(16 * channels);
    dz = values(16 * channels);
    scratch = Buffer<float>(batch_norm_scratch(rows, channels));
  }
  int64_t size() const { return rows * channels; }

  int64_t rows, channels;
  Buffer<float> x, b, y, mean, variance, gamma, beta, dgamma, dbeta, z, dz, scratch;
};

/** `traffic` counts the tensors that run reads and writes. */
template <class F>
void measure(benchmark::State& state, double traffic, const F& run) {
  Tensors t(state.range(0), state.range(1));
  ThreadPool pool(1);
  for (auto _ : state) {
    run(t, pool);
    benchmark::ClobberMemory();
  }
  state.counters["GB/s"] =
      benchmark::Counter(traffic * static_cast<double>(t.size()) * sizeof(float) * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
}

template <class F>
void add_benchmark(const char* kernel, const char* variant, double traffic, const F& run) {
  const std::string name = std::string(kernel) + variant;
  benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) { measure(state, traffic, run); })
      ->ArgNames({"floats", "C"})
      ->ArgsProduct({{80'000, 800'000, 2'400'000}, {8, 24, 48, 144}});
}

template <class List, class F>
void for_each_kernel(const List& list, const F& f) {
  for (const auto& kernel : list)
    if (kernel.isa <= allowed_isa() && kernel.isa != Isa::reference) f(kernel);
}

const bool registered = [] {
  for_each_kernel(batch_norm_statistics_kernels(), [](const Kernel<BatchNormStatistics>& k) {
    add_benchmark(k.name, "", 1, [&k](Tensors& t, ThreadPool& pool) {
      k.run(t.rows, t.channels, {t.x.data(), t.mean.data(), t.variance.data(), t.scratch.data()}, pool);
    });
  });
  for_each_kernel(batch_norm_apply_kernels(), [](const Kernel<BatchNormApply>& k) {
    add_benchmark(k.name, "/relu", 2, [&k](Tensors& t, ThreadPool& pool) {
      k.run(t.rows, t.channels, {t.x.data(), t.gamma.data(), t.beta.data(), Function::relu, t.y.data()}, pool);
    });
  });
  for_each_kernel(batch_norm_backward_kernels(), [](const Kernel<BatchNormBackward>& k) {
    for (const auto& [function, name] : {std::pair(Function::relu, "/relu"), std::pair(Function::hswish, "/hswish")})
      add_benchmark(k.name, name, 5, [&k, function = function](Tensors& t, ThreadPool& pool) {  // two passes read x and dy, one writes dx
        k.run(t.rows, t.channels,
              {t.x.data(), t.b.data(), t.mean.data(), t.variance.data(), t.gamma.data(), t.beta.data(), 1e-3f, function, t.dgamma.data(),
               t.dbeta.data(), false, t.y.data(), t.scratch.data()},
              pool);
      });
  });
  for_each_kernel(activation_forward_kernels(), [](const Kernel<ActivationForward>& k) {
    for (const auto& [function, name] : {std::pair(Function::relu, "/relu"), std::pair(Function::sigmoid, "/sigmoid")})
      add_benchmark(k.name, name, 2, [&k, function = function](Tensors& t, ThreadPool& pool) {
        k.run(t.size(), {function, t.x.data(), t.y.data()}, pool);
      });
  });
  for_each_kernel(activation_backward_kernels(), [](const Kernel<ActivationBackward>& k) {
    add_benchmark(k.name, "/relu", 3, [&k](Tensors& t, ThreadPool& pool) {
      k.run(t.size(), {Function::relu, nullptr, t.x.data(), t.b.data(), false, t.y.data()}, pool);
    });
  });
  for_each_kernel(add_forward_kernels(), [](const Kernel<AddForward>& k) {
    add_benchmark(k.name, "/relu", 3, [&k](Tensors& t, ThreadPool& pool) {
      k.run(t.size(), {t.x.data(), t.b.data(), Function::relu, t.y.data()}, pool);
    });
  });
  for_each_kernel(mean_forward_kernels(), [](const Kernel<MeanForward>& k) {
    add_benchmark(k.name, "", 1, [&k](Tensors& t, ThreadPool& pool) {
      k.run({16, t.rows / 16, t.channels}, {t.x.data(), t.z.data()}, pool);
    });
  });
  for_each_kernel(mean_backward_kernels(), [](const Kernel<MeanBackward>& k) {
    add_benchmark(k.name, "", 1, [&k](Tensors& t, ThreadPool& pool) {
      k.run({16, t.rows / 16, t.channels}, {t.z.data(), false, t.y.data()}, pool);
    });
  });
  for_each_kernel(gate_forward_kernels(), [](const Kernel<GateForward>& k) {
    add_benchmark(k.name, "", 2, [&k](Tensors& t, ThreadPool& pool) {
      k.run({16, t.rows / 16, t.channels}, {t.x.data(), t.z.data(), t.y.data()}, pool);
    });
  });
  for_each_kernel(gate_backward_kernels(), [](const Kernel<GateBackward>& k) {
    add_benchmark(k.name, "", 3, [&k](Tensors& t, ThreadPool& pool) {
      k.run({16, t.rows / 16, t.channels}, {t.x.data(), t.z.data(), t.b.data(), false, t.y.data(), t.dz.data()}, pool);
    });
  });
  for_each_kernel(sgd_kernels(), [](const Kernel<Sgd>& k) {
    add_benchmark(k.name, "", 5, [&k](Tensors& t, ThreadPool& pool) {
      k.run(t.size(), {t.y.data(), t.x.data(), t.b.data(), 1e-3f, 0.9f, 1e-4f, true}, pool);
    });
  });
  return true;
}();

}  // namespace
}  // namespace tvn
