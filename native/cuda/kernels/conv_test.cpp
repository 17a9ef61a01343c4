#include "cuda/kernels/conv.h"

#include <cmath>

#include "cuda/test/compare.h"
#include "cuda/test/conv_workspace.h"
#include "cuda/test/test.h"
#include "cuda/test/windows.h"

namespace tvn::cuda::test {
namespace {

/** A convolution with its data on the host; channels that are not there are zero. */
struct Case {
  ConvShape shape;
  int channels, outputs;  // that are there
};

Case make_case(Extents x, int channels, int outputs, Window k) {
  x.c = stored_channels(channels);
  k.pt = same_pad(x.t, k.kt, k.st), k.ph = same_pad(x.h, k.kh, k.sh), k.pw = same_pad(x.w, k.kw, k.sw);
  const Extents y{x.n, ceil_div(x.t, k.st), ceil_div(x.h, k.sh), ceil_div(x.w, k.sw), stored_channels(outputs)};
  return {{x, y, k}, channels, outputs};
}

std::string describe(const Case& c) {
  const auto& [x, y, k] = c.shape;
  char text[200];
  std::snprintf(text, sizeof text, "x %dx%dx%dx%dx%d, kernel %dx%dx%d, stride %dx%dx%d, %d outputs", x.n, x.t, x.h, x.w, c.channels, k.kt,
                k.kh, k.kw, k.st, k.sh, k.sw, c.outputs);
  return text;
}

/** Calls f(row of y, row of x, tap) for every real tap of every position. */
template <class F>
void for_taps(const ConvShape& s, const F& f) {
  const auto& [x, y, k] = s;
  for (int row = 0; row < y.rows(); row++) {
    const int ow = row % y.w, oh = row / y.w % y.h, ot = row / y.w / y.h % y.t, n = row / y.w / y.h / y.t;
    for (int a = 0; a < k.kt; a++)
      for (int b = 0; b < k.kh; b++)
        for (int c = 0; c < k.kw; c++) {
          const int t = ot * k.st - k.pt + a, h = oh * k.sh - k.ph + b, w = ow * k.sw - k.pw + c;
          if (t < 0 || t >= x.t || h < 0 || h >= x.h || w < 0 || w >= x.w) continue;
          f(row, ((n * x.t + t) * x.h + h) * x.w + w, (a * k.kh + b) * k.kw + c);
        }
  }
}

/** A sum with the sum of its terms' magnitudes. */
struct Sums {
  std::vector<double> value, magnitude;
  explicit Sums(size_t size) : value(size), magnitude(size) {}
  void add(size_t i, double term) {
    value[i] += term;
    magnitude[i] += std::fabs(term);
  }
};

std::vector<half> random_weights(Random& random, const Case& c) {
  const ConvShape& s = c.shape;
  std::vector<half> w = random_rows<half>(random, static_cast<size_t>(taps(s.window) * s.x.c), c.outputs, s.y.c);
  for (int row = 0; row < taps(s.window) * s.x.c; row++)
    if (row % s.x.c >= c.channels)
      for (int o = 0; o < s.y.c; o++) w[static_cast<size_t>(row * s.y.c + o)] = __float2half(0);
  return w;
}

Sums convolve(const ConvShape& s, const std::vector<double>& x, const std::vector<double>& w) {
  Sums y(s.y.size());
  for_taps(s, [&](int row, int from, int tap) {
    for (int c = 0; c < s.x.c; c++)
      for (int o = 0; o < s.y.c; o++)
        y.add(static_cast<size_t>(row) * static_cast<size_t>(s.y.c) + static_cast<size_t>(o),
              x[static_cast<size_t>(from * s.x.c + c)] * w[static_cast<size_t>((tap * s.x.c + c) * s.y.c + o)]);
  });
  return y;
}

/** Of what was written, over each clip. */
Sums means_of(const Extents& y, const std::vector<double>& written) {
  Sums means(static_cast<size_t>(y.n * y.c));
  const auto clip = static_cast<size_t>(y.positions() * y.c), channels = static_cast<size_t>(y.c);
  for (size_t i = 0; i < written.size(); i++) means.add(i / clip * channels + i % channels, written[i] / y.positions());
  return means;
}

Window window(int kt, int kh, int kw, int st, int sh, int sw) { return {kt, kh, kw, st, sh, sw, 0, 0, 0}; }

std::vector<Case> hostile_cases() {
  return {
      make_case({1, 1, 1, 1, 0}, 1, 1, window(1, 1, 1, 1, 1, 1)),    make_case({2, 1, 7, 5, 0}, 3, 10, window(1, 1, 1, 1, 1, 1)),
      make_case({1, 2, 9, 9, 0}, 3, 8, window(1, 3, 3, 1, 2, 2)),    make_case({3, 2, 5, 7, 0}, 17, 33, window(1, 4, 4, 1, 2, 2)),
      make_case({1, 5, 3, 3, 0}, 24, 65, window(3, 1, 1, 2, 1, 1)),  make_case({2, 3, 4, 4, 0}, 65, 9, window(5, 1, 1, 1, 1, 1)),
      make_case({1, 1, 2, 2, 0}, 8, 16, window(1, 7, 7, 1, 1, 1)),   make_case({1, 3, 6, 5, 0}, 9, 64, window(2, 3, 2, 3, 4, 3)),
      make_case({2, 1, 3, 3, 0}, 40, 72, window(1, 2, 2, 1, 4, 4)),  make_case({1, 1, 13, 11, 0}, 64, 128, window(1, 5, 5, 1, 3, 3)),
      make_case({1, 1, 3, 3, 0}, 520, 24, window(1, 3, 3, 1, 1, 1)), make_case({5, 1, 1, 1, 0}, 700, 70, window(1, 1, 1, 1, 1, 1)),
  };
}

}  // namespace

CUDA_TEST(conv_forward_is_the_reference) {
  Random random;
  for (const Case& c : hostile_cases()) {
    const Trace trace(describe(c));
    const ConvShape& s = c.shape;
    const auto x = random_rows<half>(random, static_cast<size_t>(s.x.rows()), c.channels, s.x.c);
    const auto w = random_weights(random, c);
    const Sums want = convolve(s, to_doubles(x), to_doubles(w));
    DeviceArray<half> dx(x), dw(w);
    Workspace workspace(conv_forward_workspace(s, {}));
    std::vector<double> first;
    for (const ConvBlock block : all_blocks) {
      DeviceArray<half> y(s.y.size());
      ConvForwardArgs args{dx.data(), dw.data()};
      args.y = y.data();
      args.workspace = workspace.get();
      conv_forward(s, block, args, nullptr);
      const auto got = y.doubles();
      expect_close(got, want.value, {0x1p-11, static_cast<double>(taps(s.window) * s.x.c)}, want.magnitude);
      if (first.empty()) first = got;
      EXPECT(got == first);  // the block decides nothing but speed
    }
    workspace.expect_zero();
  }
}

/** What an epilogue does, by bits of a number. */
struct Options {
  bool bias, scale, gate, residual, shortcut, mean;
  Function function;
  explicit Options(int i)
      : bias(i & 1),
        scale((i >> 1) % 3 == 1),
        gate((i >> 1) % 3 == 2),
        residual(i / 6 % 3 == 1),
        shortcut(i / 6 % 3 == 2),
        mean(i / 18 % 2),
        function(static_cast<Function>(i % 4)) {}
  static constexpr int count = 36;
};

CUDA_TEST(conv_forward_has_every_epilogue) {
  Random random;
  for (const int channels : {8, 264}) {
    const Case c = make_case({3, 2, 5, 7, 0}, channels, 70, window(1, 1, 1, 1, 1, 1));
    const ConvShape& s = c.shape;
    const Extents wide{3, 2, 10, 14, stored_channels(19)};
    const int gate_inputs = 24;
    const auto x = random_rows<half>(random, static_cast<size_t>(s.x.rows()), c.channels, s.x.c);
    const auto w = random_weights(random, c);
    const auto x2 = random_rows<half>(random, static_cast<size_t>(wide.rows()), 19, wide.c);
    auto w2 = random_rows<half>(random, static_cast<size_t>(wide.c), c.outputs, s.y.c);
    for (size_t i = static_cast<size_t>(19 * s.y.c); i < w2.size(); i++) w2[i] = __float2half(0);
    const auto gate_w = random_rows<half>(random, static_cast<size_t>(gate_inputs), c.outputs, s.y.c);
    const auto gate_x = random_rows<float>(random, 3, gate_inputs, gate_inputs);
    const auto bias = random_rows<float>(random, 1, c.outputs, s.y.c), bias2 = random_rows<float>(random, 1, c.outputs, s.y.c);
    const auto scale = random_rows<float>(random, 3, c.outputs, s.y.c);
    const auto residual = random_rows<half>(random, static_cast<size_t>(s.y.rows()), c.outputs, s.y.c);
    const Sums product = convolve(s, to_doubles(x), to_doubles(w));
    const auto dx2 = to_doubles(x2), dw2 = to_doubles(w2), dr = to_doubles(residual), dgw = to_doubles(gate_w), dgx = to_doubles(gate_x);
    const auto db = to_doubles(bias), db2 = to_doubles(bias2), ds = to_doubles(scale);
    DeviceArray<half> device_x(x), device_w(w), device_x2(x2), device_w2(w2), device_residual(residual), device_gate_w(gate_w);
    DeviceArray<float> device_bias(bias), device_bias2(bias2), device_scale(scale), device_gate_x(gate_x);

    for (int i = 0; i < Options::count; i++) {
      const Options o(i);
      const Trace trace("channels " + std::to_string(channels) + ", options " + std::to_string(i));
      Sums want(s.y.size());
      for (int row = 0; row < s.y.rows(); row++)
        for (int column = 0; column < s.y.c; column++) {
          const size_t at = static_cast<size_t>(row * s.y.c + column), k = static_cast<size_t>(column);
          const int n = row / 70;
          double factor = 1;
          if (o.scale) factor = ds[static_cast<size_t>(n * s.y.c + column)];
          if (o.gate) {
            double z = db[k];
            for (int g = 0; g < gate_inputs; g++)
              z += dgx[static_cast<size_t>(n * gate_inputs + g)] * dgw[static_cast<size_t>(g * s.y.c + column)];
            factor = reference(Function::sigmoid, z) * ds[static_cast<size_t>(n * s.y.c + column)];
          }
          want.value[at] = product.value[at] * factor;
          want.magnitude[at] = product.magnitude[at] * std::fabs(factor);
          if (o.bias) want.add(at, factor * db[k]);
          if (o.residual) want.add(at, dr[at]);
          if (o.shortcut) {
            const int from = ((n * 2 + row / 35 % 2) * 10 + row / 7 % 5 * 2) * 14 + row % 7 * 2;
            for (int g = 0; g < wide.c; g++)
              want.add(at, dx2[static_cast<size_t>(from * wide.c + g)] * dw2[static_cast<size_t>(g * s.y.c + column)]);
            want.add(at, db2[k]);
          }
          want.value[at] = reference(o.function, want.value[at]);
          if (o.function == Function::hswish) want.magnitude[at] *= 1.5;
          if (o.function == Function::sigmoid) want.magnitude[at] += 0.5;
        }
      ConvForwardArgs args{device_x.data(), device_w.data()};
      if (o.bias) args.bias = device_bias.data();
      if (o.scale) args.scale = device_scale.data();
      if (o.gate) args.gate = {device_gate_x.data(), gate_inputs, device_gate_w.data(), device_bias.data(), device_scale.data()};
      if (o.residual) args.residual = device_residual.data();
      if (o.shortcut) args.shortcut = {device_x2.data(), wide, {1, 2, 2}, device_w2.data(), device_bias2.data()};
      args.function = o.function;
      const ConvUse use{o.shortcut, o.mean, o.gate, wide.c, 0};
      Workspace workspace(conv_forward_workspace(s, use));
      args.workspace = workspace.get();
      DeviceArray<half> y(s.y.size());
      DeviceArray<float> y32(s.y.size()), mean(static_cast<size_t>(3 * s.y.c));
      args.y = y.data();
      if (o.mean) args.mean = mean.data();
      const ConvBlock block = takes_block(all_blocks[i % 4], use) ? all_blocks[i % 4] : all_blocks[1 + i % 2 * 2];
      const double terms = static_cast<double>(s.x.c + wide.c + gate_inputs);
      conv_forward(s, block, args, nullptr);
      const auto got = y.doubles();
      expect_close(got, want.value, {0x1p-11, terms}, want.magnitude);
      if (o.mean) {
        const Sums columns = means_of(s.y, got);
        expect_close(mean.doubles(), columns.value, {0x1p-24, 70, 0, 0x1p-30}, columns.magnitude);
      }
      workspace.expect_zero();
      args.y = nullptr;
      args.y32 = y32.data();
      conv_forward(s, block, args, nullptr);
      expect_close(y32.doubles(), want.value, {0x1p-24, terms, 0, 0x1p-30}, want.magnitude);
    }
  }
}

// The order of blocks is the device's: the emulation takes several.
CUDA_TEST(conv_forward_adds_splits_and_tiles_in_one_order) {
  Random random;
  const Case c = make_case({2, 1, 13, 11, 0}, 136, 70, window(1, 3, 3, 1, 1, 1));
  const ConvShape& s = c.shape;
  const int gate_inputs = 40;
  const ConvUse use{false, true, true, 0, 0};
  const auto x = random_rows<half>(random, static_cast<size_t>(s.x.rows()), c.channels, s.x.c);
  const auto w = random_weights(random, c);
  const auto gate_w = random_rows<half>(random, static_cast<size_t>(gate_inputs), c.outputs, s.y.c);
  const auto gate_x = random_rows<float>(random, 2, gate_inputs, gate_inputs);
  const Sums product = convolve(s, to_doubles(x), to_doubles(w));
  const auto dgw = to_doubles(gate_w), dgx = to_doubles(gate_x);
  Sums want(s.y.size());
  for (int n = 0; n < 2; n++)
    for (int column = 0; column < s.y.c; column++) {
      double z = 0;
      for (int g = 0; g < gate_inputs; g++)
        z += dgx[static_cast<size_t>(n * gate_inputs + g)] * dgw[static_cast<size_t>(g * s.y.c + column)];
      const double scale = reference(Function::sigmoid, z);
      for (int row = 0; row < s.y.positions(); row++) {
        const size_t at = static_cast<size_t>((n * s.y.positions() + row) * s.y.c + column);
        want.value[at] = product.value[at] * scale;
        want.magnitude[at] = product.magnitude[at] * scale;
      }
    }
  DeviceArray<half> device_x(x), device_w(w), device_gate_w(gate_w);
  DeviceArray<float> device_gate_x(gate_x);
  std::vector<double> first, first_means;
  for (const char* seed : {"0", "1", "2"})
    for (const ConvBlock block : all_blocks) {
      if (!takes_block(block, use)) continue;
      const WithEnvironment order("TVN_EMULATION_SEED", seed);
      Workspace workspace(conv_forward_workspace(s, use));
      EXPECT(workspace.get().parts && conv_forward_workspace(s, use).counters > s.y.n * ceil_div(s.y.c, 32));  // it is split
      DeviceArray<half> y(s.y.size());
      DeviceArray<float> mean(static_cast<size_t>(2 * s.y.c));
      ConvForwardArgs args{device_x.data(), device_w.data()};
      args.gate = {device_gate_x.data(), gate_inputs, device_gate_w.data(), nullptr, nullptr};
      args.y = y.data();
      args.mean = mean.data();
      args.workspace = workspace.get();
      conv_forward(s, block, args, nullptr);
      const auto got = y.doubles(), got_means = mean.doubles();
      expect_close(got, want.value, {0x1p-11, static_cast<double>(9 * s.x.c + gate_inputs)}, want.magnitude);
      expect_close(got_means, means_of(s.y, got).value, {0x1p-24, 143, 0, 0x1p-30}, means_of(s.y, got).magnitude);
      if (first.empty()) first = got, first_means = got_means;
      EXPECT(got == first && got_means == first_means);
      workspace.expect_zero();
    }
}

CUDA_TEST(conv_forward_pools_frames) {
  Random random;
  struct PoolingCase {
    int frames, kernel, stride;
    Pooling pooling;
    int channels;
  };
  for (const PoolingCase& p : {PoolingCase{2, 2, 2, Pooling::max, 8},
                               {8, 3, 2, Pooling::max, 24},
                               {5, 3, 1, Pooling::avg, 9},
                               {3, 2, 3, Pooling::avg, 300},
                               {1, 2, 2, Pooling::max, 8},
                               {64, 5, 2, Pooling::max, 8},
                               {33, 2, 2, Pooling::avg, 8}}) {
    const Trace trace(std::to_string(p.frames) + " frames, kernel " + std::to_string(p.kernel) + ", stride " + std::to_string(p.stride));
    const Case c = make_case({2, p.frames, 5, 4, 0}, p.channels, 40, window(1, 3, 3, 1, 2, 2));
    const ConvShape& s = c.shape;
    const auto x = random_rows<half>(random, static_cast<size_t>(s.x.rows()), c.channels, s.x.c);
    const auto w = random_weights(random, c);
    DeviceArray<half> device_x(x), device_w(w), whole(s.y.size());
    Workspace plain(conv_forward_workspace(s, {}));
    ConvForwardArgs args{device_x.data(), device_w.data()};
    args.function = Function::relu;
    args.y = whole.data();
    args.workspace = plain.get();
    conv_forward(s, ConvBlock::rows64_columns64, args, nullptr);
    const auto frames = whole.doubles();

    args.pooling = {p.pooling, p.kernel, p.stride, same_pad(p.frames, p.kernel, p.stride), ceil_div(p.frames, p.stride)};
    const int results = args.pooling.frames, area = s.y.h * s.y.w;
    std::vector<double> want, means(static_cast<size_t>(2 * s.y.c));
    for (int n = 0; n < 2; n++)
      for (int t = 0; t < results; t++)
        for (int i = 0; i < area * s.y.c; i++) {
          double sum = 0, most = -1;
          int count = 0;
          for (int k = 0; k < p.kernel; k++) {
            const int from = t * p.stride - args.pooling.pad + k;
            if (from < 0 || from >= p.frames) continue;
            const double value = frames[static_cast<size_t>((n * p.frames + from) * area * s.y.c + i)];
            sum += value;
            most = std::max(most, value);
            count++;
          }
          want.push_back(p.pooling == Pooling::max ? most : sum / count);
          means[static_cast<size_t>(n * s.y.c + i % s.y.c)] += want.back() / (results * area);
        }
    const ConvUse use{false, true, false, 0, results};
    std::vector<double> first_means;
    for (const ConvBlock block : all_blocks) {
      if (!takes_block(block, use)) continue;
      Workspace workspace(conv_forward_workspace(s, use));
      DeviceArray<half> y(want.size());
      DeviceArray<float> mean(means.size());
      args.y = y.data();
      args.mean = mean.data();
      args.workspace = workspace.get();
      conv_forward(s, block, args, nullptr);
      // a sum that is split differs from the unsplit one by its rounding, before and after the pooling
      expect_close(y.doubles(), want, {0x1p-11, 100, 1});
      const auto got_means = mean.doubles();
      expect_close(got_means, means, {0x1p-24, 300, 2});
      if (first_means.empty()) first_means = got_means;
      EXPECT(got_means == first_means);
      workspace.expect_zero();
    }
  }
}

CUDA_TEST(conv_data_gradient_is_the_reference) {
  Random random;
  for (const Case& c : hostile_cases()) {
    const Trace trace(describe(c));
    const ConvShape& s = c.shape;
    const auto dy = random_rows<half>(random, static_cast<size_t>(s.y.rows()), c.outputs, s.y.c);
    const auto w = random_weights(random, c);
    const auto old = random_rows<half>(random, static_cast<size_t>(s.x.rows()), c.channels, s.x.c);
    const auto ddy = to_doubles(dy), dw = to_doubles(w), dold = to_doubles(old);
    Sums want(s.x.size());
    for_taps(s, [&](int row, int to, int tap) {
      for (int k = 0; k < s.x.c; k++)
        for (int o = 0; o < s.y.c; o++)
          want.add(static_cast<size_t>(to * s.x.c + k),
                   ddy[static_cast<size_t>(row * s.y.c + o)] * dw[static_cast<size_t>((tap * s.x.c + k) * s.y.c + o)]);
    });
    DeviceArray<half> device_dy(dy), device_w(w);
    Workspace workspace(conv_data_gradient_workspace(s));
    const Tolerance tolerance{0x1p-11, static_cast<double>(taps(s.window) * s.y.c)};
    for (const ConvBlock block : all_blocks) {
      DeviceArray<half> dx(s.x.size());
      conv_data_gradient(s, block, {device_dy.data(), device_w.data(), false, dx.data(), workspace.get()}, nullptr);
      expect_close(dx.doubles(), want.value, tolerance, want.magnitude);
    }
    DeviceArray<half> dx(old);
    conv_data_gradient(s, ConvBlock::rows64_columns64, {device_dy.data(), device_w.data(), true, dx.data(), workspace.get()}, nullptr);
    for (size_t i = 0; i < dold.size(); i++) want.add(i, dold[i]);
    expect_close(dx.doubles(), want.value, tolerance, want.magnitude);
    workspace.expect_zero();
  }
}

CUDA_TEST(conv_weight_gradient_is_the_reference) {
  Random random;
  for (const Case& c : hostile_cases()) {
    const Trace trace(describe(c));
    const ConvShape& s = c.shape;
    const auto x = random_rows<half>(random, static_cast<size_t>(s.x.rows()), c.channels, s.x.c);
    const auto dy = random_rows<half>(random, static_cast<size_t>(s.y.rows()), c.outputs, s.y.c);
    const auto dx = to_doubles(x), ddy = to_doubles(dy);
    Sums want(static_cast<size_t>(taps(s.window) * s.x.c * s.y.c));
    for_taps(s, [&](int row, int from, int tap) {
      for (int k = 0; k < s.x.c; k++)
        for (int o = 0; o < s.y.c; o++)
          want.add(static_cast<size_t>((tap * s.x.c + k) * s.y.c + o),
                   dx[static_cast<size_t>(from * s.x.c + k)] * ddy[static_cast<size_t>(row * s.y.c + o)]);
    });
    DeviceArray<half> device_x(x), device_dy(dy);
    DeviceArray<float> dw(want.value.size());
    DeviceArray<char> workspace(conv_weight_gradient_workspace(s));
    conv_weight_gradient(s, {device_x.data(), device_dy.data(), dw.data(), reinterpret_cast<float*>(workspace.data())}, nullptr);
    expect_close(dw.doubles(), want.value, {0x1p-24, static_cast<double>(s.y.rows()), 0, 0x1p-30}, want.magnitude);
  }
}

}  // namespace tvn::cuda::test
