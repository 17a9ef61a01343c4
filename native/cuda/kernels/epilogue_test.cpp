#include "cuda/kernels/epilogue.h"

#include <cmath>

#include "cuda/test/compare.h"

namespace tvn::cuda::test {
namespace {

constexpr Function functions[] = {Function::none, Function::relu, Function::hswish, Function::sigmoid};

}  // namespace

CUDA_TEST(epilogue_forward_is_the_reference) {
  Random random;
  for (const int rows : {1, 7, 33, 257})
    for (const int channels : {1, 7, 8, 9, 24, 65})
      for (int i = 0; i < 16; i++) {
        const bool has_bias = i & 1, has_residual = i & 2;
        const Function function = functions[i / 4];
        const Trace trace(std::to_string(rows) + " rows of " + std::to_string(channels) + " channels, case " + std::to_string(i));
        const int stored = stored_channels(channels);
        const auto y = random_rows<half>(random, static_cast<size_t>(rows), channels, stored, 4),
                   residual = random_rows<half>(random, static_cast<size_t>(rows), channels, stored, 4);
        const auto bias = random_rows<float>(random, 1, channels, stored, 2);
        std::vector<double> want(y.size()), magnitude(y.size());
        for (size_t at = 0; at < y.size(); at++) {
          const size_t channel = at % static_cast<size_t>(stored);
          if (channel >= static_cast<size_t>(channels)) continue;
          const double b = has_bias ? bias[channel] : 0, r = has_residual ? to_float(residual[at]) : 0;
          want[at] = reference(function, to_float(y[at]) + b + r);
          magnitude[at] = std::fabs(to_float(y[at])) + std::fabs(b) + std::fabs(r);
        }
        DeviceArray<half> dy(y), dresidual(residual);
        DeviceArray<float> dbias(bias);
        EpilogueArgs args{};
        args.rows = rows, args.stored = stored, args.channels = channels;
        if (has_bias) args.bias = dbias.data();
        if (has_residual) args.residual = dresidual.data();
        args.function = function;
        args.y = dy.data();
        epilogue_forward(args, nullptr);
        expect_close(dy.doubles(), want, {0x1p-11, 16}, magnitude);  // 16 terms: those of expf
      }
}

}  // namespace tvn::cuda::test
