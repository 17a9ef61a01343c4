#include "cuda/kernels/block.h"

#include <cmath>
#include <memory>

#include "cuda/kernels/depthwise.h"
#include "cuda/kernels/pool.h"
#include "cuda/test/conv_workspace.h"
#include "cuda/test/test.h"
#include "cuda/test/windows.h"

namespace tvn::cuda::test {
namespace {

std::vector<half> weights(Random& random, int taps, int inputs, int outputs) {
  const int rows = stored_channels(inputs), columns = stored_channels(outputs);
  const double spread = 1 / std::sqrt(static_cast<double>(taps * inputs));
  auto w = random_rows<half>(random, static_cast<size_t>(taps * rows), outputs, columns, spread);
  for (int row = 0; row < taps * rows; row++)
    if (row % rows >= inputs)
      for (int o = 0; o < columns; o++) w[static_cast<size_t>(row * columns + o)] = __float2half(0);
  return w;
}

/** A convolution by its own kernel, which has tests of its own. */
void convolve(const ConvShape& s, const half* x, const half* w, const float* bias, Function function, const float* scale, half* y) {
  Workspace workspace(conv_forward_workspace(s, {}));
  ConvForwardArgs args{x, w};
  args.bias = bias;
  args.function = function;
  args.scale = scale;
  args.y = y;
  args.workspace = workspace.get();
  conv_forward(s, ConvBlock::rows64_columns64, args, nullptr);
}

struct Case {
  Extents x;  // c: those that are there
  bool depthwise;
  int kernel, stride, channels;  // of the spatial convolution; its outputs
  TemporalKind temporal;
  int time_kernel, time_stride, time_channels;
  int outputs;  // 0: no pointwise convolution
};

}  // namespace

/** The fused kernel against the kernels that it stands for. */
CUDA_TEST(block_is_its_kernels) {
  Random random;
  const auto none = TemporalKind::none, conv = TemporalKind::conv, max = TemporalKind::max, avg = TemporalKind::avg;
  for (const Case& c : {Case{{1, 1, 1, 1, 8}, false, 1, 1, 8, none, 1, 1, 8, 8},
                        {{2, 4, 9, 7, 9}, false, 3, 2, 24, conv, 3, 2, 16, 40},
                        {{1, 8, 10, 9, 24}, true, 5, 2, 24, conv, 5, 2, 24, 72},
                        {{1, 2, 13, 6, 17}, false, 4, 1, 64, max, 2, 2, 64, 0},
                        {{3, 3, 5, 4, 8}, true, 3, 1, 8, avg, 3, 1, 8, 33},
                        {{1, 1, 12, 11, 64}, false, 1, 1, 256, none, 1, 1, 256, 64},
                        {{2, 5, 4, 4, 16}, false, 3, 3, 48, conv, 2, 3, 30, 0},
                        {{1, 7, 3, 3, 40}, true, 2, 2, 40, none, 1, 1, 40, 0},
                        {{1, 31, 3, 5, 8}, false, 1, 1, 8, conv, 9, 1, 8, 16},
                        {{1, 16, 6, 3, 8}, true, 3, 1, 8, max, 2, 4, 8, 8}})
    for (const int scaling : {0, 1, 2}) {
      const Trace trace("x " + std::to_string(c.x.t) + "×" + std::to_string(c.x.h) + "×" + std::to_string(c.x.w) + "×" +
                        std::to_string(c.x.c) + (c.depthwise ? ", depthwise" : "") + ", temporal " +
                        std::to_string(static_cast<int>(c.temporal)) + ", scaling " + std::to_string(scaling));
      BlockShape s{};
      s.x = {c.x.n, c.x.t, c.x.h, c.x.w, stored_channels(c.x.c)};
      s.spatial = {
          1, c.kernel, c.kernel, 1, c.stride, c.stride, 0, same_pad(c.x.h, c.kernel, c.stride), same_pad(c.x.w, c.kernel, c.stride)};
      s.depthwise = c.depthwise;
      s.s = {c.x.n, c.x.t, ceil_div(c.x.h, c.stride), ceil_div(c.x.w, c.stride), stored_channels(c.channels)};
      s.temporal = c.temporal;
      s.kernel = c.time_kernel, s.stride = c.time_stride, s.pad = same_pad(c.x.t, c.time_kernel, c.time_stride);
      s.frames = ceil_div(c.x.t, c.time_stride);
      s.channels = stored_channels(c.time_channels);
      s.expands = c.outputs > 0;
      s.y = {c.x.n, s.frames, s.s.h, s.s.w, stored_channels(s.expands ? c.outputs : c.time_channels)};
      const Extents time{c.x.n, s.frames, s.s.h, s.s.w, s.channels};

      DeviceArray<half> x(random_rows<half>(random, static_cast<size_t>(s.x.rows()), c.x.c, s.x.c)), after_space(s.s.size()),
          after_time(time.size()), want(s.y.size()), got(s.y.size());
      DeviceArray<half> space_w(c.depthwise ? random_rows<half>(random, static_cast<size_t>(c.kernel * c.kernel), c.channels, s.s.c)
                                            : weights(random, c.kernel * c.kernel, c.x.c, c.channels));
      DeviceArray<half> time_w(weights(random, c.time_kernel, c.channels, c.time_channels)),
          expand_w(weights(random, 1, c.time_channels, std::max(c.outputs, 1)));
      DeviceArray<float> space_bias(random_rows<float>(random, 1, c.channels, s.s.c)),
          time_bias(random_rows<float>(random, 1, c.time_channels, s.channels)),
          expand_bias(random_rows<float>(random, 1, std::max(c.outputs, 1), s.y.c));
      const auto scales = random_rows<float>(random, static_cast<size_t>(c.x.n), c.channels, s.s.c);
      DeviceArray<float> scale(scales), mean(static_cast<size_t>(c.x.n * s.y.c));
      const bool scaled = scaling == 1 && !c.depthwise, gated = scaling == 2 && !c.depthwise;
      // a gate without weights is sigmoid(bias) · multiply
      DeviceArray<half> no_w(std::vector<half>(static_cast<size_t>(8 * s.s.c), __float2half(0)));
      DeviceArray<float> no_x(std::vector<float>(static_cast<size_t>(8 * c.x.n), 0.0f));
      std::vector<float> gate_scales = scales;
      for (float& value : gate_scales) value *= 0.5f;
      DeviceArray<float> gate_scale(gate_scales);

      if (c.depthwise)
        depthwise_forward({s.x, s.s, s.spatial}, {x.data(), space_w.data(), space_bias.data(), Function::relu, after_space.data()},
                          nullptr);
      else
        convolve({s.x, s.s, s.spatial}, x.data(), space_w.data(), space_bias.data(), Function::relu,
                 scaled  ? scale.data()
                 : gated ? gate_scale.data()
                         : nullptr,
                 after_space.data());
      half* const to = s.expands ? after_time.data() : want.data();
      const Window over_time{c.time_kernel, 1, 1, c.time_stride, 1, 1, s.pad, 0, 0};
      if (c.temporal == conv)
        convolve({s.s, time, over_time}, after_space.data(), time_w.data(), time_bias.data(), Function::hswish, nullptr, to);
      if (c.temporal == max || c.temporal == avg)
        pool_forward({s.s, time, over_time, c.temporal == max ? Pooling::max : Pooling::avg}, {after_space.data(), to, nullptr}, nullptr);
      if (c.temporal == none) check(cudaMemcpy(to, after_space.data(), s.s.size() * sizeof(half), cudaMemcpyDeviceToDevice), "cudaMemcpy");
      if (s.expands)
        convolve({time, s.y, {}}, after_time.data(), expand_w.data(), expand_bias.data(), Function::none, nullptr, want.data());

      EXPECT(block_fits(s));
      Workspace workspace(block_workspace(s, true));
      BlockArgs args{};
      args.x = x.data();
      args.spatial = {space_w.data(), space_bias.data(), Function::relu};
      args.temporal = {time_w.data(), time_bias.data(), Function::hswish};
      args.expand = {expand_w.data(), expand_bias.data(), Function::none};
      if (scaled) args.scale = scale.data();
      if (gated) args.gate = {no_x.data(), 8, no_w.data(), nullptr, scale.data()};
      args.y = got.data();
      args.mean = mean.data();
      args.workspace = workspace.get();
      block_forward(s, args, nullptr);
      const auto result = got.doubles();
      // the same halves between them, unless a sum that was split rounds to another one
      expect_close(result, want.doubles(), {0x1p-11, 16, 4}, std::vector<double>(result.size(), 2));
      std::vector<double> means(static_cast<size_t>(c.x.n * s.y.c));
      for (size_t i = 0; i < result.size(); i++)
        means[i / (s.y.size() / static_cast<size_t>(s.y.n)) * static_cast<size_t>(s.y.c) + i % static_cast<size_t>(s.y.c)] +=
            result[i] / s.y.positions();
      expect_close(mean.doubles(), means, {0x1p-24, 200, 0, 0x1p-24}, std::vector<double>(means.size(), 8));
      workspace.expect_zero();
    }
}

CUDA_TEST(block_that_does_not_fit_is_refused) {
  BlockShape s{};
  s.x = s.s = {1, 1, 8, 8, 1024};
  s.frames = 1;
  s.channels = 1024;
  s.y = s.s;
  EXPECT(!block_fits(s));
  s.s.t = s.x.t = s.frames = 128;
  s.x.c = s.s.c = s.channels = s.y.c = 8;
  EXPECT(!block_fits(s));
}

}  // namespace tvn::cuda::test
