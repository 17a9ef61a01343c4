// Convolutions and depthwise convolutions of TVN-1 to TVN-4: forward, data gradient and weight gradient.
#include "cuda/kernels/conv.h"
#include "cuda/kernels/depthwise.h"
#include "cuda/test/conv_workspace.h"
#include "cuda/test/preset_layers.h"

namespace tvn::cuda::test {
namespace {

constexpr Caps product_caps{8e6}, depthwise_caps{150e3};

/** A convolution with its data. */
struct Product {
  Random& random;
  const PresetLayer& l;
  ConvShape s;
  size_t c, oc;  // stored
  std::vector<half> x, w, dy;
  std::vector<float> bias;

  Product(Random& r, const PresetLayer& layer)
      : random(r), l(layer), s{layer.x, layer.y, layer.window}, c(static_cast<size_t>(layer.x.c)), oc(static_cast<size_t>(layer.y.c)) {
    const int lines = taps(l.window) * l.x.c;
    x = fill_rows(random, static_cast<size_t>(l.x.rows()), l.channels, l.x.c);
    dy = fill_rows(random, static_cast<size_t>(l.y.rows()), l.outputs, l.y.c);
    bias = random_rows<float>(random, 1, l.outputs, l.y.c);
    w = fill_rows(random, static_cast<size_t>(lines), l.outputs, l.y.c);
    for (int line = 0; line < lines; line++)
      if (line % l.x.c >= l.channels) std::fill_n(w.begin() + static_cast<std::ptrdiff_t>(line) * l.y.c, l.y.c, __float2half(0));
  }
  double weight(int tap, size_t channel, size_t output) const { return value(w, (static_cast<size_t>(tap) * c + channel) * oc + output); }

  void forward(ConvBlock block) {
    DeviceArray<half> device_x(x), device_w(w), y(s.y.size());
    DeviceArray<float> device_bias(bias);
    Workspace workspace(conv_forward_workspace(s, {}));
    ConvForwardArgs args{device_x.data(), device_w.data()};
    args.bias = device_bias.data();
    args.y = y.data();
    args.workspace = workspace.get();
    conv_forward(s, block, args, nullptr);
    expect_samples(random, y, {0x1p-11, static_cast<double>(taps(l.window) * l.x.c)}, [&](size_t i) {
      Sum sum;
      sum.add(static_cast<double>(bias[i % oc]));
      for_window(l, i / oc, [&](size_t row, int tap) {
        for (size_t k = 0; k < c; k++) sum.add(value(x, row * c + k) * weight(tap, k, i % oc));
      });
      return sum;
    });
  }

  void data_gradient(ConvBlock block) {
    DeviceArray<half> device_dy(dy), device_w(w), dx(s.x.size());
    Workspace workspace(conv_data_gradient_workspace(s));
    conv_data_gradient(s, block, {device_dy.data(), device_w.data(), false, dx.data(), workspace.get()}, nullptr);
    expect_samples(random, dx, {0x1p-11, static_cast<double>(taps(l.window) * l.y.c)}, [&](size_t i) {
      Sum sum;
      for_windows_of(l, i / c, [&](size_t row, int tap) {
        for (size_t o = 0; o < oc; o++) sum.add(value(dy, row * oc + o) * weight(tap, i % c, o));
      });
      return sum;
    });
  }

  void weight_gradient() {
    DeviceArray<half> device_x(x), device_dy(dy);
    DeviceArray<float> dw(w.size());
    DeviceArray<char> workspace(conv_weight_gradient_workspace(s));
    conv_weight_gradient(s, {device_x.data(), device_dy.data(), dw.data(), reinterpret_cast<float*>(workspace.data())}, nullptr);
    expect_samples(random, dw, {0x1p-24, static_cast<double>(s.y.rows()), 0, 0x1p-30}, [&](size_t i) {
      const int tap = static_cast<int>(i / oc / c);
      const size_t channel = i / oc % c;
      Sum sum;
      for (size_t row = 0; row < static_cast<size_t>(s.y.rows()); row++)
        for_window(l, row, [&](size_t from, int at) {
          if (at == tap) sum.add(value(x, from * c + channel) * value(dy, row * oc + i % oc));
        });
      return sum;
    });
  }
};

CUDA_TEST(preset_convolutions) {
  Random random;
  int i = 0;
  for (const PresetLayer& l : preset_layers({OpKind::conv, OpKind::dense}, product_caps)) {
    const Trace trace(l.describe());
    Product product(random, l);
    if (l.capped) {
      product.forward(all_blocks[i % 4]);
      product.data_gradient(all_blocks[(i + 1) % 4]);
    } else {
      for (const ConvBlock block : all_blocks) product.forward(block), product.data_gradient(block);
    }
    product.weight_gradient();
    i++;
  }
}

CUDA_TEST(preset_depthwise_convolutions) {
  Random random;
  for (const PresetLayer& l : preset_layers({OpKind::depthwise}, depthwise_caps)) {
    const Trace trace(l.describe());
    const DepthwiseShape s{l.x, l.y, l.window};
    const size_t c = static_cast<size_t>(l.x.c);
    const std::vector<half> x = fill_rows(random, static_cast<size_t>(l.x.rows()), l.channels, l.x.c),
                            w = fill_rows(random, static_cast<size_t>(taps(l.window)), l.channels, l.x.c),
                            dy = fill_rows(random, static_cast<size_t>(l.y.rows()), l.channels, l.x.c);
    DeviceArray<half> device_x(x), device_w(w), device_dy(dy), y(l.y.size()), dx(l.x.size());
    DeviceArray<float> dw(w.size());
    DeviceArray<char> workspace(depthwise_weight_gradient_workspace(s));
    const Tolerance tolerance{0x1p-11, static_cast<double>(taps(l.window) + 1)};
    depthwise_forward(s, {device_x.data(), device_w.data(), nullptr, Function::none, y.data()}, nullptr);
    expect_samples(random, y, tolerance, [&](size_t i) {
      Sum sum;
      for_window(l, i / c,
                 [&](size_t row, int tap) { sum.add(value(x, row * c + i % c) * value(w, static_cast<size_t>(tap) * c + i % c)); });
      return sum;
    });
    depthwise_data_gradient(s, {device_dy.data(), device_w.data(), false, dx.data()}, nullptr);
    expect_samples(random, dx, tolerance, [&](size_t i) {
      Sum sum;
      for_windows_of(l, i / c,
                     [&](size_t row, int tap) { sum.add(value(dy, row * c + i % c) * value(w, static_cast<size_t>(tap) * c + i % c)); });
      return sum;
    });
    depthwise_weight_gradient(s, {device_x.data(), device_dy.data(), dw.data(), reinterpret_cast<float*>(workspace.data())}, nullptr);
    expect_samples(random, dw, {0x1p-24, static_cast<double>(l.y.rows()), 0, 1e-30}, [&](size_t i) {
      Sum sum;
      for (size_t row = 0; row < static_cast<size_t>(l.y.rows()); row++)
        for_window(l, row, [&](size_t from, int tap) {
          if (static_cast<size_t>(tap) == i / c) sum.add(value(x, from * c + i % c) * value(dy, row * c + i % c));
        });
      return sum;
    });
  }
}

}  // namespace
}  // namespace tvn::cuda::test
