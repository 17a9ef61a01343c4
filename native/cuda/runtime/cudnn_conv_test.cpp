#include "cuda/runtime/cudnn_conv.h"

#include <cmath>

#include "cuda/runtime/device.h"
#include "cuda/test/cudnn_stand_in.h"
#include "cuda/test/windows.h"

namespace tvn::cuda::test {
namespace {

ConvShape shape_of(const WindowCase& c, int outputs) {
  ConvShape shape{c.x, c.y, c.window};
  shape.y.c = stored_channels(outputs);
  return shape;
}

/** SAME has a size for every map; VALID only where the kernel is not larger. */
bool is_there(const WindowCase& c) { return c.y.t > 0 && c.y.h > 0 && c.y.w > 0; }

/** Every window must begin where ours does, behind the zeros. */
void expect_same_windows(const CudnnShape::Axis& axis, int x, int y, int kernel, int stride, int pad) {
  EXPECT(axis.x == x && axis.y == y && axis.stride == stride);
  EXPECT(axis.taps - axis.zeros == kernel && axis.zeros - axis.pad == -pad);
  EXPECT(axis.zeros == 0 || axis.zeros == 1);
  EXPECT((axis.x + 2 * axis.pad - axis.taps) / axis.stride + 1 == axis.y);
}

}  // namespace

CUDA_TEST(cudnn_shape_has_the_same_windows) {
  for (const bool same : {false, true})
    for (int extent = 1; extent <= 17; extent++)
      for (int kernel = 1; kernel <= 8; kernel++)
        for (int stride = 1; stride <= 5; stride++) {
          const WindowCase planes({3, extent, 7}, 2, 9, {1, kernel, 3}, {1, stride, 2}, same),
              time({extent, 5, 7}, 2, 9, {kernel, 1, 1}, {stride, 1, 1}, same);
          if (is_there(planes)) {
            const Trace trace(planes.describe());
            const auto shape = cudnn_shape(shape_of(planes, 20));
            EXPECT(shape.has_value());
            if (!shape) continue;
            EXPECT(shape->n == 6 && shape->c == 16 && shape->oc == 24);
            expect_same_windows(shape->h, extent, planes.y.h, kernel, stride, planes.window.ph);
            expect_same_windows(shape->w, 7, planes.y.w, 3, 2, planes.window.pw);
          }
          if (is_there(time) && (kernel > 1 || stride > 1)) {
            const Trace trace(time.describe());
            const auto shape = cudnn_shape(shape_of(time, 20));
            EXPECT(shape.has_value());
            if (!shape) continue;
            EXPECT(shape->n == 2);
            expect_same_windows(shape->h, extent, time.y.t, kernel, stride, time.window.pt);
            expect_same_windows(shape->w, 35, 35, 1, 1, 0);
          }
        }
}

CUDA_TEST(cudnn_shape_is_not_there_for_what_cannot_be_expressed) {
  EXPECT(!cudnn_shape(shape_of(WindowCase({4, 6, 6}, 1, 8, {3, 3, 3}, {1, 1, 1}, true), 8)));
  EXPECT(!cudnn_shape(shape_of(WindowCase({4, 6, 6}, 1, 8, {3, 1, 1}, {1, 2, 1}, true), 8)));
  ConvShape uneven = shape_of(WindowCase({1, 9, 9}, 1, 8, {1, 3, 3}, {1, 1, 1}, true), 8);
  uneven.window.ph = 0, uneven.y.h = 10;  // three behind
  EXPECT(!cudnn_shape(uneven));
  uneven.window.ph = 2, uneven.y.h = 9;  // none behind
  EXPECT(!cudnn_shape(uneven));
}

#ifdef TVN_EMULATION

CUDA_TEST(cudnn_convolution_is_the_reference) {
  const WithStandIn stand_in;
  const auto handle = std::make_shared<const CudnnHandle>(*cudnn_for_plans().found);
  const Stream stream;
  Random random;
  for (int i = 0; i < 60; i++) {
    const auto length = [&] { return any_of(random, hostile_lengths); };
    const bool over_time = i % 3 == 0;
    const Int3 kernel = over_time ? Int3{random.integer(1, 5), 1, 1} : Int3{1, random.integer(1, 5), random.integer(1, 5)},
               stride = over_time ? Int3{random.integer(1, 3), 1, 1} : Int3{1, random.integer(1, 4), random.integer(1, 3)};
    const WindowCase c({length(), length(), length()}, random.integer(1, 3), any_of(random, hostile_channels), kernel, stride, i % 2 == 0);
    if (!is_there(c)) continue;
    const int outputs = any_of(random, hostile_channels);
    const Trace trace(c.describe() + ", " + std::to_string(outputs) + " outputs");
    const ConvShape shape = shape_of(c, outputs);
    const auto x = c.random_x(random);
    ParameterInfo parameter{"w", {kernel.t, kernel.h, kernel.w, c.channels, outputs}, taps(c.window) * c.channels * outputs, true};
    std::vector<float> w(static_cast<size_t>(parameter.size));
    for (float& value : w) value = __half2float(__float2half(static_cast<float>(random.uniform(-1, 1))));

    std::vector<double> want(shape.y.size()), magnitude(shape.y.size());
    c.for_each_pair([&](size_t from, size_t to, int tap, int channel) {
      if (channel >= c.channels) return;
      for (int o = 0; o < outputs; o++) {
        const size_t at = to / static_cast<size_t>(c.y.c) * static_cast<size_t>(shape.y.c) + static_cast<size_t>(o);
        const double term = to_float(x[from]) * static_cast<double>(w[static_cast<size_t>((tap * c.channels + channel) * outputs + o)]);
        want[at] += term, magnitude[at] += std::fabs(term);
      }
    });

    const auto planes = cudnn_shape(shape);
    EXPECT(planes.has_value());
    if (!planes) continue;
    const CudnnConv conv(handle, *planes, i % 2 ? CudnnChoice::measured : CudnnChoice::expected, i % 4 ? 1 << 20 : 0);
    DeviceArray<half> dx(x), dw(cudnn_filters(*planes, stored_parameter(parameter), w)), dy(shape.y.size());
    DeviceArray<char> workspace(conv.workspace());
    conv.launch(dx.data(), dw.data(), dy.data(), workspace.data(), stream);
    expect_close(dy.doubles(), want, {0x1p-11, static_cast<double>(taps(c.window) * c.channels)}, magnitude);
  }
}

CUDA_TEST(cudnn_algorithm_is_supported_deterministic_and_within_limits) {
  const WithStandIn stand_in;
  const auto handle = std::make_shared<const CudnnHandle>(*cudnn_for_plans().found);
  const auto planes = cudnn_shape(shape_of(WindowCase({1, 5, 5}, 1, 8, {1, 3, 3}, {1, 1, 1}, true), 8));
  for (const CudnnChoice choice : {CudnnChoice::expected, CudnnChoice::measured}) {
    EXPECT(CudnnConv(handle, *planes, choice, 1 << 20).workspace() == 1 << 20);
    EXPECT(CudnnConv(handle, *planes, choice, (1 << 20) - 1).workspace() == 0);
  }
  const WithEnvironment environment("CUDNN_STAND_IN_FAILS", "cudnnGetConvolutionForwardWorkspaceSize");
  bool thrown = false;
  try {
    const CudnnConv conv(handle, *planes, CudnnChoice::expected, 1 << 20);
  } catch (const CudnnError& error) {
    thrown = true;
    EXPECT(std::string(error.what()) == "cuDNN 9.1.0 has no algorithm for it");
  }
  EXPECT(thrown);
}

CUDA_TEST(cudnn_convolutions_are_timed) {
  const WithStandIn stand_in;
  const Stream stream;
  std::string refusal;
  for (const bool same : {true, false}) {
    const ConvShape shape = shape_of(WindowCase({2, 8, 8}, 2, 16, {1, 3, 3}, {1, 2, 2}, same), 24);
    const auto ms = cudnn_conv_ms(shape, 3, stream, &refusal);
    EXPECT(ms && *ms > 0 && *ms < 1000);
  }
  const ConvShape cube = shape_of(WindowCase({4, 6, 6}, 1, 8, {3, 3, 3}, {1, 1, 1}, true), 8);
  EXPECT(!cudnn_conv_ms(cube, 3, stream, &refusal) && refusal == "cuDNN's convolutions cannot express it");
  const ConvShape shape = shape_of(WindowCase({1, 4, 4}, 1, 8, {1, 1, 1}, {1, 1, 1}, true), 8);
  for (const char* const call : {"cudnnCreate", "cudnnFindConvolutionForwardAlgorithm", "cudnnConvolutionForward"}) {
    const WithEnvironment environment("CUDNN_STAND_IN_FAILS", call);
    EXPECT(!cudnn_conv_ms(shape, 3, stream, &refusal) && refusal.find("NOT_SUPPORTED") != std::string::npos);
  }
  const WithEnvironment off("TVN_CUDNN", "off");
  EXPECT(!cudnn_conv_ms(shape, 3, stream, &refusal) && refusal == "TVN_CUDNN is off");
}

#endif

}  // namespace tvn::cuda::test
