#include "cuda/kernels/gate.h"

#include <cmath>
#include <string>
#include <vector>

#include "cuda/test/compare.h"
#include "cuda/test/test.h"
#include "cuda/test/windows.h"

namespace tvn::cuda {
namespace {

using namespace test;
using Doubles = std::vector<double>;

/** Calls f(shape, channels that are there). */
template <class F>
void for_each_shape(const F& f) {
  const auto run = [&](int n, int positions, int channels) {
    const Trace trace(std::to_string(n) + " clips of " + std::to_string(positions) + " positions, " + std::to_string(channels) +
                      " channels");
    f(GateShape{n, positions, stored_channels(channels)}, channels);
  };
  for (const int channels : hostile_channels)
    for (const int positions : {1, 2, 3, 5, 8, 13, 65, 300}) run(1 + positions % 3, positions, channels);
  run(2, 700, 65);  // several parts and blocks of channels
  run(1, 1100, 24);
  run(0, 3, 8);
}

/** In f64. A sigmoid is a few roundings of f32, and so counts as terms. */
struct Reference {
  Doubles y, dx, dz, dx_size, dz_size;

  Reference(const GateShape& s, const Doubles& x, const Doubles& z, const Doubles& dy, const Doubles& dx_before, const Doubles& dz_before)
      : y(x.size()), dx(dx_before), dz(dz_before), dx_size(x.size()), dz_size(z.size()) {
    const auto channels = static_cast<size_t>(s.channels), clip = static_cast<size_t>(s.positions) * channels;
    for (size_t i = 0; i < z.size(); i++) dz_size[i] = std::fabs(dz[i]);
    for (size_t i = 0; i < x.size(); i++) {
      const size_t at = i / clip * channels + i % channels;
      const double gate = reference(Function::sigmoid, z[at]), slope = gate * (1 - gate);
      y[i] = x[i] * gate;
      dx_size[i] = std::fabs(dx[i]) + std::fabs(dy[i] * gate);
      dx[i] += dy[i] * gate;
      dz[at] += slope * dy[i] * x[i], dz_size[at] += std::fabs(slope * dy[i] * x[i]);
    }
  }
};

struct Data {
  std::vector<half> x, z, dy, dx, dz;

  Data(Random& random, const GateShape& s, int channels) {
    const auto rows = static_cast<size_t>(s.n * s.positions), clips = static_cast<size_t>(s.n);
    for (auto* values : {&x, &dy, &dx}) *values = random_rows<half>(random, rows, channels, s.channels, 2);
    z = random_rows<half>(random, clips, channels, s.channels, 12);
    dz = random_rows<half>(random, clips, channels, s.channels);
  }
  Reference reference(const GateShape& s, bool accumulate, bool accumulate_z) const {
    return {s,
            to_doubles(x),
            to_doubles(z),
            to_doubles(dy),
            accumulate ? to_doubles(dx) : Doubles(dx.size()),
            accumulate_z ? to_doubles(dz) : Doubles(dz.size())};
  }
};

CUDA_TEST(gate_forward_is_the_reference) {
  Random random;
  for_each_shape([&](const GateShape& s, int channels) {
    const Data data(random, s, channels);
    const Reference want = data.reference(s, false, false);
    DeviceArray<half> x(data.x), z(data.z), y(data.x.size());
    gate_forward(s, {x.data(), z.data(), y.data()}, nullptr);
    expect_close(y.doubles(), want.y, {0x1p-11, 4});
    gate_forward(s, {x.data(), z.data(), x.data()}, nullptr);
    expect_same_bits(x, y.read());
  });
}

CUDA_TEST(gate_backward_is_the_reference) {
  Random random;
  int in_parts = 0, number = 0;
  for_each_shape([&](const GateShape& s, int channels) {
    const Data data(random, s, channels);
    const bool accumulate = number % 2, accumulate_z = number / 2 % 2;
    number++;
    const Reference want = data.reference(s, accumulate, accumulate_z);
    const size_t bytes = gate_backward_workspace(s);
    in_parts += bytes > 0;
    DeviceArray<half> x(data.x), z(data.z);
    DeviceArray<float> workspace(bytes / sizeof(float));
    std::vector<half> first_dx, first_dz;
    for (int run = 0; run < 2; run++) {
      DeviceArray<half> dy(data.dy), dx(data.dx), dz(data.dz);
      const bool in_place = run == 1 && !accumulate;
      DeviceArray<half>& to = in_place ? dy : dx;
      gate_backward(s, {x.data(), z.data(), dy.data(), accumulate, to.data(), accumulate_z, dz.data(), workspace.data()}, nullptr);
      if (run == 1) {
        expect_same_bits(to, first_dx);
        expect_same_bits(dz, first_dz);
        expect_close(to.doubles(), want.dx, {0x1p-11, 5}, want.dx_size);
        expect_close(dz.doubles(), want.dz, {0x1p-11, s.positions + 8.0}, want.dz_size);
      }
      first_dx = to.read(), first_dz = dz.read();
    }
  });
  EXPECT(in_parts == 2);
}

CUDA_TEST(gate_references_are_gradients) {
  Random random;
  const GateShape s{2, 3, 8};
  const Data data(random, s, 7);
  Doubles x = to_doubles(data.x), z = to_doubles(data.z);
  const Doubles dy = to_doubles(data.dy), no_dx(x.size()), no_dz(z.size());
  const auto loss = [&] { return dot(Reference(s, x, z, dy, no_dx, no_dz).y, dy); };
  const Reference r(s, x, z, dy, no_dx, no_dz);
  expect_gradient("x", x, r.dx, loss);
  expect_gradient("z", z, r.dz, loss);
}

}  // namespace
}  // namespace tvn::cuda
