// GB/s of pooling, counting each tensor that a pass must read or write once. Names: clips x frames x size x channels, kernel, stride.
#include <benchmark/benchmark.h>

#include <string>

#include "core/buffer.h"
#include "kernels/pool/pool.h"

namespace tvn {
namespace {

struct Case {
  int64_t n, t, side, c;
  int kt, k, st, s;
};
constexpr Case cases[] = {
    {16, 8, 24, 8, 1, 2, 1, 2},  {16, 8, 24, 24, 1, 3, 1, 2},  {16, 8, 24, 48, 1, 2, 1, 2},
    {16, 8, 24, 48, 1, 3, 1, 2}, {16, 8, 24, 48, 1, 3, 1, 1},  {16, 8, 12, 48, 2, 1, 2, 1},
    {16, 8, 12, 48, 3, 1, 1, 1}, {1, 2, 112, 256, 2, 1, 2, 1}, {1, 1, 112, 256, 1, 3, 1, 2},
};

PoolShape make_shape(const Case& q, Pooling pooling) {
  const WindowAxis t = same_axis(q.t, q.kt, q.st), side = same_axis(q.side, q.k, q.s);
  PoolShape s;
  s.x = {q.n, q.t, q.side, q.side, q.c};
  s.y = {q.n, t.out, side.out, side.out, q.c};
  s.window = {q.kt, q.k, q.k, q.st, q.s, q.s, t.pad_front, side.pad_front, side.pad_front};
  s.pooling = pooling;
  return s;
}

struct Data {
  explicit Data(const PoolShape& s) : x(fill(s.x.size())), y(fill(s.y.size())), dx(fill(s.x.size())), dy(fill(s.y.size())) {}
  static Buffer<float> fill(int64_t count) {
    Buffer<float> buffer(static_cast<std::size_t>(count));
    for (std::size_t i = 0; i < buffer.size(); i++) buffer[i] = static_cast<float>(i * 2654435761u >> 16 & 0xffff);
    return buffer;
  }
  Buffer<float> x, y, dx, dy;
};

void call(PoolForward* run, const PoolShape& s, Data& d, ThreadPool& pool) { run(s, {d.x.data(), d.y.data()}, pool); }
void call(PoolBackward* run, const PoolShape& s, Data& d, ThreadPool& pool) {
  run(s, {d.x.data(), d.y.data(), d.dy.data(), false, d.dx.data()}, pool);
}
int64_t floats(PoolForward*, const PoolShape& s) { return s.x.size() + s.y.size(); }
int64_t floats(PoolBackward*, const PoolShape& s) {
  return s.pooling == Pooling::max ? 2 * (s.x.size() + s.y.size()) : s.x.size() + s.y.size();
}

template <class Function>
void add(std::span<const Kernel<Function>> kernels) {
  for (const Kernel<Function>& kernel : kernels) {
    if (kernel.isa > detected_isa() || kernel.isa == Isa::reference) continue;
    for (const Pooling pooling : {Pooling::max, Pooling::avg})
      for (const Case& q : cases) {
        const PoolShape s = make_shape(q, pooling);
        const std::string name = std::string(kernel.name) + (pooling == Pooling::max ? "/max/" : "/avg/") + std::to_string(q.n) + "x" +
                                 std::to_string(q.t) + "x" + std::to_string(q.side) + "x" + std::to_string(q.c) + "/k" +
                                 std::to_string(q.kt) + "," + std::to_string(q.k) + "s" + std::to_string(q.st) + "," + std::to_string(q.s);
        benchmark::RegisterBenchmark(name.c_str(), [s, run = kernel.run](benchmark::State& state) {
          ThreadPool pool(1);
          Data data(s);
          call(pool_forward_kernels().front().run, s, data, pool);  // y holds real maxima
          for (auto _ : state) call(run, s, data, pool);
          const double bytes = 4.0 * static_cast<double>(floats(run, s));
          state.counters["GB/s"] = benchmark::Counter(1e-9 * bytes, benchmark::Counter::kIsIterationInvariantRate);
        });
      }
  }
}

const bool added = [] {
  add(pool_forward_kernels());
  add(pool_backward_kernels());
  return true;
}();

}  // namespace
}  // namespace tvn
