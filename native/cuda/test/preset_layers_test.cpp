// Pools, means, gates and batch norms of TVN-1 to TVN-4: forward and backward.
#include "cuda/test/preset_layers.h"

#include <algorithm>

#include "cuda/kernels/batch_norm.h"
#include "cuda/kernels/gate.h"
#include "cuda/kernels/mean.h"
#include "cuda/kernels/pool.h"
#include "cuda/test/compare.h"

namespace tvn::cuda::test {
namespace {

constexpr Caps caps{150e3};

CUDA_TEST(preset_pools) {
  Random random;
  for (const PresetLayer& l : preset_layers({OpKind::pool}, caps)) {
    const Trace trace(l.describe());
    const PoolShape s{l.x, l.y, l.window, l.pooling};
    const bool max = l.pooling == Pooling::max;
    const size_t c = static_cast<size_t>(l.x.c);
    const std::vector<half> x = fill_rows(random, static_cast<size_t>(l.x.rows()), l.channels, l.x.c),
                            dy = fill_rows(random, static_cast<size_t>(l.y.rows()), l.channels, l.x.c);
    DeviceArray<half> device_x(x), device_dy(dy), y(l.y.size()), dx(l.x.size());
    DeviceArray<uint16_t> winners(max ? l.y.size() : 0);
    const auto count = [&](size_t y_row) {
      int n = 0;
      for_window(l, y_row, [&](size_t, int) { n++; });
      return n;
    };
    const auto winner = [&](size_t y_row, size_t channel) {
      double most = 0;
      int tap = -1;
      for_window(l, y_row, [&](size_t row, int at) {
        if (tap < 0 || value(x, row * c + channel) > most) most = value(x, row * c + channel), tap = at;
      });
      return std::pair(most, tap);
    };
    const Tolerance tolerance{0x1p-11, static_cast<double>(taps(l.window) + 2)};
    pool_forward(s, {device_x.data(), y.data(), max ? winners.data() : nullptr}, nullptr);
    expect_samples(random, y, max ? Tolerance{0, 0, 0, 1e-30} : tolerance, [&](size_t i) {
      Sum sum;
      if (max) return Sum{winner(i / c, i % c).first, 0};
      const int n = count(i / c);
      for_window(l, i / c, [&](size_t row, int) { sum.add(value(x, row * c + i % c) / n); });
      return sum;
    });
    pool_backward(s, {max ? winners.data() : nullptr, device_dy.data(), false, dx.data()}, nullptr);
    expect_samples(random, dx, tolerance, [&](size_t i) {
      Sum sum;
      for_windows_of(l, i / c, [&](size_t row, int tap) {
        const double d = value(dy, row * c + i % c);
        if (!max)
          sum.add(d / count(row));
        else if (winner(row, i % c).second == tap)
          sum.add(d);
      });
      return sum;
    });
  }
}

CUDA_TEST(preset_means) {
  Random random;
  for (const PresetLayer& l : preset_layers({OpKind::mean}, caps)) {
    const Trace trace(l.describe());
    const bool clip = l.extent == Extent::clip;
    const MeanShape s{clip ? 1 : l.x.t, clip ? l.x.positions() : l.x.h * l.x.w, l.x.c};
    const size_t c = static_cast<size_t>(s.channels), count = static_cast<size_t>(s.count);
    const std::vector<half> x = fill_rows(random, static_cast<size_t>(l.x.rows()), l.channels, l.x.c),
                            dy = fill_rows(random, static_cast<size_t>(s.groups), l.channels, l.x.c);
    DeviceArray<half> device_x(x), device_dy(dy), dx(x.size());
    DeviceArray<float> y(static_cast<size_t>(s.groups) * c), workspace(mean_workspace(s) / sizeof(float));
    mean_forward(s, {device_x.data(), nullptr, y.data(), workspace.data()}, nullptr);
    expect_samples(random, y, {0x1p-24, static_cast<double>(s.count), 0, 1e-30}, [&](size_t i) {
      Sum sum;
      for (size_t row = 0; row < count; row++) sum.add(value(x, (i / c * count + row) * c + i % c) / s.count);
      return sum;
    });
    mean_backward(s, {device_dy.data(), false, dx.data()}, nullptr);
    expect_samples(random, dx, {0x1p-11, 2}, [&](size_t i) {
      Sum sum;
      sum.add(value(dy, i / c / count * c + i % c) / s.count);
      return sum;
    });
  }
}

CUDA_TEST(preset_gates) {
  Random random;
  for (const PresetLayer& l : preset_layers({OpKind::gate}, caps)) {
    const Trace trace(l.describe());
    const GateShape s{1, l.x.positions(), l.x.c};
    const size_t c = static_cast<size_t>(s.channels), rows = static_cast<size_t>(s.positions);
    const std::vector<half> x = fill_rows(random, rows, l.channels, l.x.c), z = random_rows<half>(random, 1, l.channels, l.x.c, 8),
                            dy = fill_rows(random, rows, l.channels, l.x.c);
    const auto gate = [&](size_t channel) { return reference(Function::sigmoid, value(z, channel)); };
    DeviceArray<half> device_x(x), device_z(z), device_dy(dy), y(x.size()), dx(x.size()), dz(c);
    DeviceArray<float> workspace(gate_backward_workspace(s) / sizeof(float));
    gate_forward(s, {device_x.data(), device_z.data(), y.data()}, nullptr);
    expect_samples(random, y, {0x1p-11, 4}, [&](size_t i) {
      Sum sum;
      sum.add(value(x, i) * gate(i % c));
      return sum;
    });
    gate_backward(s, {device_x.data(), device_z.data(), device_dy.data(), false, dx.data(), false, dz.data(), workspace.data()}, nullptr);
    expect_samples(random, dx, {0x1p-11, 5}, [&](size_t i) {
      Sum sum;
      sum.add(value(dy, i) * gate(i % c));
      return sum;
    });
    expect_samples(random, dz, {0x1p-11, s.positions + 8.0}, [&](size_t i) {
      Sum sum;
      for (size_t row = 0; row < rows; row++) sum.add(gate(i) * (1 - gate(i)) * value(dy, row * c + i) * value(x, row * c + i));
      return sum;
    });
  }
}

/** Roundings one after another in a sum over rows, as in batch_norm_test.cpp. */
constexpr double depth = 48;
constexpr float epsilon = 1e-5f;

/** All rows of one channel in f64. */
struct NormChannel {
  std::vector<double> x, dy;
  double gamma, beta, mean = 0, variance = 0, mean_size = 0, dbeta = 0, dgamma = 0, dbeta_size = 0, dgamma_size = 0;

  NormChannel(const std::vector<half>& from, size_t rows, size_t stored, size_t channel, double g, double b) : gamma(g), beta(b) {
    const double count = static_cast<double>(rows);
    for (size_t r = 0; r < rows; r++) x.push_back(value(from, r * stored + channel));
    for (const double v : x) mean += v / count, mean_size += std::fabs(v) / count;
    for (const double v : x) variance += (v - mean) * (v - mean) / count;
  }
  double rstd() const { return 1 / std::sqrt(variance + static_cast<double>(epsilon)); }
  double normalised(size_t r) const { return (x[r] - mean) * rstd(); }
  double u(size_t r) const { return gamma * normalised(r) + beta; }
  double slope(size_t r) const { return reference_derivative(Function::relu, u(r)); }
  /** Of a rounding of the mean, in units of a deviation. */
  double shift() const { return mean_size * rstd(); }

  void backward(std::vector<double> gradients) {
    dy = std::move(gradients);
    for (size_t r = 0; r < x.size(); r++) {
      const double d = dy[r] * slope(r);
      dbeta += d, dgamma += d * normalised(r);
      dbeta_size += std::fabs(d) * (1 + shift());
      dgamma_size += std::fabs(d) * (std::fabs(normalised(r)) + shift());
    }
  }
  Sum dx(size_t r) const {
    const double count = static_cast<double>(x.size()), scale = gamma * rstd(), h = normalised(r);
    return {scale * (dy[r] * slope(r) - dbeta / count - h * dgamma / count),
            std::fabs(scale) *
                (std::fabs(dy[r]) * (1 + std::fabs(u(r))) + dbeta_size / count + (std::fabs(h) + shift()) * dgamma_size / count)};
  }
};

CUDA_TEST(preset_batch_norms) {
  Random random;
  for (const PresetLayer& l : preset_layers({OpKind::batch_norm}, caps)) {
    const Trace trace(l.describe());
    const BatchNormShape s{l.x.rows(), l.channels, l.x.c};
    const size_t c = static_cast<size_t>(s.stored), rows = static_cast<size_t>(s.rows);
    const std::vector<half> x = fill_rows(random, rows, l.channels, l.x.c);
    std::vector<half> dy = fill_rows(random, rows, l.channels, l.x.c);
    const std::vector<float> gamma = random_rows<float>(random, 1, l.channels, l.x.c, 0.5, 1),
                             beta = random_rows<float>(random, 1, l.channels, l.x.c, 0.5);
    std::vector<size_t> channels = samples(random, static_cast<size_t>(s.channels), 6);
    std::vector<NormChannel> wanted;
    for (const size_t k : channels) {
      wanted.emplace_back(x, rows, c, k, gamma[k], beta[k]);
      NormChannel& w = wanted.back();
      std::vector<double> gradients;
      for (size_t r = 0; r < rows; r++) {
        if (jumps_near(Function::relu, w.u(r))) dy[r * c + k] = __float2half(0);
        gradients.push_back(value(dy, r * c + k));
      }
      w.backward(std::move(gradients));
    }
    DeviceArray<half> device_x(x), device_dy(dy), y(x.size()), dx(x.size());
    DeviceArray<float> device_gamma(gamma), device_beta(beta), mean(c), variance(c), dgamma(c), dbeta(c);
    DeviceArray<float> workspace(batch_norm_workspace(s) / sizeof(float));
    batch_norm_forward(s,
                       {device_x.data(), device_gamma.data(), device_beta.data(), epsilon, Function::relu, mean.data(), variance.data(),
                        y.data(), workspace.data()},
                       nullptr);
    batch_norm_backward(s,
                        {device_x.data(), device_dy.data(), mean.data(), variance.data(), device_gamma.data(), device_beta.data(), epsilon,
                         Function::relu, dgamma.data(), dbeta.data(), false, dx.data(), workspace.data()},
                        nullptr);
    const std::vector<half> got_y = y.read(), got_dx = dx.read();
    const std::vector<double> got_mean = mean.doubles(), got_variance = variance.doubles(), got_dgamma = dgamma.doubles(),
                              got_dbeta = dbeta.doubles();
    const auto is_finite = [](const half& v) { return std::isfinite(to_float(v)); };
    EXPECT(std::all_of(got_y.begin(), got_y.end(), is_finite) && std::all_of(got_dx.begin(), got_dx.end(), is_finite));
    for (size_t i = 0; i < channels.size(); i++) {
      const size_t k = channels[i];
      const NormChannel& w = wanted[i];
      expect_close({got_mean[k]}, {w.mean}, {0x1p-24, depth, 0, 1e-12}, {w.mean_size});
      expect_close({got_variance[k]}, {w.variance}, {0x1p-24, depth / 4, 0, 1e-12}, {w.variance + 2 * w.mean_size * std::sqrt(w.variance)});
      expect_close({got_dbeta[k], got_dgamma[k]}, {w.dbeta, w.dgamma}, {0x1p-24, 2 * depth, 0, 1e-9}, {w.dbeta_size, w.dgamma_size});
      std::vector<double> ys, want_ys, size_ys, dxs, want_dxs, size_dxs;
      for (const size_t r : samples(random, rows, 50)) {
        ys.push_back(value(got_y, r * c + k)), want_ys.push_back(reference(Function::relu, w.u(r)));
        size_ys.push_back(std::fabs(w.gamma) * (std::fabs(w.normalised(r)) + w.shift()) * 2 + std::fabs(w.beta));
        const Sum d = w.dx(r);
        dxs.push_back(value(got_dx, r * c + k)), want_dxs.push_back(d.value), size_dxs.push_back(d.magnitude);
      }
      expect_close(ys, want_ys, {0x1p-11, depth}, size_ys);
      expect_close(dxs, want_dxs, {0x1p-11, 2 * depth}, size_dxs);
    }
  }
}

}  // namespace
}  // namespace tvn::cuda::test
