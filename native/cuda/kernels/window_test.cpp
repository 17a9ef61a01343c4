#include "cuda/kernels/window.h"

#include <cmath>

#include "cuda/kernels/depthwise.h"
#include "cuda/kernels/pool.h"
#include "cuda/test/conv_workspace.h"
#include "cuda/test/test.h"
#include "cuda/test/windows.h"

namespace tvn::cuda::test {

/** The fused kernel against the two kernels that it stands for, which have tests of their own. */
CUDA_TEST(window_is_its_two_kernels) {
  Random random;
  struct Case {
    Extents x;  // c: those that are there
    int channels, kernel, stride;
  };
  for (const Case& c : {Case{{1, 1, 1, 1, 8}, 8, 3, 1},
                        {{2, 2, 9, 7, 17}, 24, 5, 3},
                        {{1, 1, 13, 12, 64}, 72, 3, 2},
                        {{3, 1, 4, 5, 40}, 9, 2, 1},
                        {{1, 3, 6, 6, 8}, 130, 7, 1},
                        {{1, 1, 10, 3, 24}, 16, 5, 4},
                        {{2, 1, 5, 5, 8}, 8, 1, 2}})
    for (const WindowKind kind : {WindowKind::depthwise, WindowKind::max, WindowKind::avg})
      for (const bool gated : {false, true}) {
        const Trace trace("x " + std::to_string(c.x.h) + "×" + std::to_string(c.x.w) + "×" + std::to_string(c.x.c) + ", kernel " +
                          std::to_string(c.kernel) + ", stride " + std::to_string(c.stride) + ", kind " +
                          std::to_string(static_cast<int>(kind)) + (gated ? ", gated" : ""));
        const Extents x{c.x.n, c.x.t, c.x.h, c.x.w, stored_channels(c.x.c)}, m{x.n, x.t, x.h, x.w, stored_channels(c.channels)};
        const Window k{
            1, c.kernel, c.kernel, 1, c.stride, c.stride, 0, same_pad(x.h, c.kernel, c.stride), same_pad(x.w, c.kernel, c.stride)};
        const Extents y{x.n, x.t, ceil_div(x.h, c.stride), ceil_div(x.w, c.stride), m.c};
        auto weights = random_rows<half>(random, static_cast<size_t>(c.x.c), c.channels, m.c);
        weights.resize(static_cast<size_t>(x.c * m.c));
        DeviceArray<half> device_x(random_rows<half>(random, static_cast<size_t>(x.rows()), c.x.c, x.c)), w(weights), between(m.size()),
            want(y.size()), got(y.size());
        DeviceArray<half> filter(random_rows<half>(random, static_cast<size_t>(c.kernel * c.kernel), c.channels, m.c));
        DeviceArray<half> gate_w(random_rows<half>(random, 24, c.channels, m.c));
        DeviceArray<float> bias(random_rows<float>(random, 1, c.channels, m.c)),
            filter_bias(random_rows<float>(random, 1, c.channels, m.c));
        DeviceArray<float> gate_x(random_rows<float>(random, static_cast<size_t>(x.n), 24, 24)), mean(static_cast<size_t>(x.n * m.c));
        const ConvGate gate = gated ? ConvGate{gate_x.data(), 24, gate_w.data(), nullptr, nullptr} : ConvGate{};

        ConvForwardArgs product{device_x.data(), w.data()};
        product.bias = bias.data();
        product.gate = gate;
        product.function = Function::hswish;
        product.y = between.data();
        const ConvShape shape{x, m, {}};
        Workspace workspace(conv_forward_workspace(shape, {false, false, gated, 0, 0}));
        product.workspace = workspace.get();
        conv_forward(shape, ConvBlock::rows64_columns64, product, nullptr);
        if (kind == WindowKind::depthwise)
          depthwise_forward({m, y, k}, {between.data(), filter.data(), filter_bias.data(), Function::relu, want.data()}, nullptr);
        else
          pool_forward({m, y, k, kind == WindowKind::max ? Pooling::max : Pooling::avg}, {between.data(), want.data(), nullptr}, nullptr);

        const WindowShape fused{x, y, k};
        EXPECT(window_fits(fused));
        Workspace fused_workspace(window_workspace(fused, true));
        WindowArgs args{};
        args.x = device_x.data();
        args.w = w.data();
        args.bias = bias.data();
        args.gate = gate;
        args.function = Function::hswish;
        args.kind = kind;
        if (kind == WindowKind::depthwise) {
          args.filter = filter.data();
          args.filter_bias = filter_bias.data();
          args.filter_function = Function::relu;
        }
        args.y = got.data();
        args.mean = mean.data();
        args.workspace = fused_workspace.get();
        window_forward(fused, args, nullptr);
        const auto result = got.doubles();
        // the same halves between them, unless a sum that was split has rounded to another one; then the window adds them in another order
        const std::vector<double> magnitudes(result.size(), 8.0 * c.kernel * c.kernel);
        expect_close(result, want.doubles(), {0x1p-11, 64, 0.02}, magnitudes);
        std::vector<double> means(static_cast<size_t>(x.n * m.c));
        for (size_t i = 0; i < result.size(); i++)
          means[i / (y.size() / static_cast<size_t>(x.n)) * static_cast<size_t>(m.c) + i % static_cast<size_t>(m.c)] +=
              result[i] / y.positions();
        expect_close(mean.doubles(), means, {0x1p-24, 200, 0, 0x1p-24}, std::vector<double>(means.size(), 8.0 * c.kernel));
        fused_workspace.expect_zero();
      }
}

}  // namespace tvn::cuda::test
