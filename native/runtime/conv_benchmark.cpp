#include "core/buffer.h"
#include "core/clock.h"
#include "core/error.h"
#include "kernels/conv/conv.h"
#include "kernels/depthwise/depthwise.h"
#include "runtime/measure.h"
#include "runtime/memory.h"
#include "runtime/random_values.h"

namespace tvn {
namespace {

Buffer<float> random_values(int64_t size) {
  Buffer<float> values(static_cast<size_t>(size));
  fill_random({values.data(), values.size()});
  return values;
}

template <class F>
std::vector<double> time_runs(int runs, const F& run) {
  run();
  std::vector<double> ms(static_cast<size_t>(runs));
  for (double& t : ms) {
    const auto begin = Clock::now();
    run();
    t = ms_since(begin);
  }
  return ms;
}

}  // namespace

ConvTimes benchmark_conv(const ConvBenchmark& o, Isa isa) {
  require_precision(o.precision, isa);
  const WindowAxis t = same_axis(o.x.t, o.kernel.t, o.stride.t), h = same_axis(o.x.h, o.kernel.h, o.stride.h),
                   w = same_axis(o.x.w, o.kernel.w, o.stride.w);
  const Window window{o.kernel.t, o.kernel.h, o.kernel.w, o.stride.t, o.stride.h, o.stride.w, t.pad_front, h.pad_front, w.pad_front};
  const Shape y{o.x.n, t.out, h.out, w.out, o.depthwise ? o.x.c : o.output_channels};
  const int64_t weights = window.taps() * o.x.c * (o.depthwise ? 1 : y.c);
  require_memory(static_cast<size_t>(o.x.size() + y.size() + 3 * weights) * sizeof(float));
  ThreadPool pool(o.threads);
  Buffer<float> x = random_values(o.x.size()), dy = random_values(y.size()), weight = random_values(weights);

  const auto packed = [&](const auto& kernel, const ConvShape& shape, const auto& run) -> ConvTimes {
    Buffer<float> pack(kernel.packed_size(shape)), scratch(kernel.scratch_size(shape, o.threads));
    if (kernel.pack) kernel.pack(shape, weight.data(), pack.data(), pool);
    return {kernel.name, time_runs(o.runs, [&] { run(kernel, shape, pack.data(), scratch.data()); })};
  };
  const auto dense = [&]() -> ConvTimes {
    const ConvShape shape{o.x, y, window};
    switch (o.pass) {
      case Pass::forward:
        return packed(select(conv_forward_kernels(), isa, shape, o.precision), shape,
                      [&](const auto& kernel, const ConvShape& s, const float* pack, float* scratch) {
                        kernel.run(s, {x.data(), pack, nullptr, nullptr, Function::none, dy.data(), scratch}, pool);
                      });
      case Pass::data_gradient:
        return packed(select(conv_data_gradient_kernels(), isa, shape), shape,
                      [&](const auto& kernel, const ConvShape& s, const float* pack, float* scratch) {
                        kernel.run(s, {dy.data(), pack, false, x.data(), scratch}, pool);
                      });
      case Pass::weight_gradient:
        return packed(select(conv_weight_gradient_kernels(), isa, shape), shape,
                      [&](const auto& kernel, const ConvShape& s, const float*, float* scratch) {
                        kernel.run(s, {x.data(), dy.data(), weight.data(), nullptr, scratch}, pool);
                      });
    }
    throw Error("ERR_ARGUMENT", "unknown pass");
  };
  const auto depthwise = [&]() -> ConvTimes {
    const DepthwiseShape shape{o.x, y, window};
    Buffer<float> scratch(depthwise_weight_gradient_scratch(shape));
    switch (o.pass) {
      case Pass::forward: {
        const auto& kernel = select(depthwise_forward_kernels(), isa);
        return {kernel.name, time_runs(o.runs, [&] {
                  kernel.run(shape, {x.data(), weight.data(), nullptr, Function::none, dy.data()}, pool);
                })};
      }
      case Pass::data_gradient: {
        const auto& kernel = select(depthwise_data_gradient_kernels(), isa);
        return {kernel.name, time_runs(o.runs, [&] { kernel.run(shape, {dy.data(), weight.data(), false, x.data()}, pool); })};
      }
      case Pass::weight_gradient: {
        const auto& kernel = select(depthwise_weight_gradient_kernels(), isa);
        return {kernel.name, time_runs(o.runs, [&] {
                  kernel.run(shape, {x.data(), dy.data(), weight.data(), nullptr, scratch.data()}, pool);
                })};
      }
    }
    throw Error("ERR_ARGUMENT", "unknown pass");
  };
  return o.depthwise ? depthwise() : dense();
}

}  // namespace tvn
