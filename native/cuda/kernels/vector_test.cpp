#include "cuda/kernels/vector.h"

#include <cmath>

#include "cuda/test/compare.h"
#include "cuda/test/test.h"

namespace tvn::cuda::test {
namespace {

/** One layer with its data. */
struct Layer {
  int rows, inputs, outputs;
  std::vector<half> w;
  std::vector<float> bias, multiply;
  DeviceArray<half> device_w;
  DeviceArray<float> device_bias, device_multiply, y;

  Layer(Random& random, int rows_, int inputs_, int outputs_)
      : rows(rows_),
        inputs(inputs_),
        outputs(outputs_),
        w(random_rows<half>(random, static_cast<size_t>(inputs), outputs, outputs, 1 / std::sqrt(static_cast<double>(inputs)))),
        bias(random_rows<float>(random, 1, outputs, outputs)),
        multiply(random_rows<float>(random, static_cast<size_t>(rows), outputs, outputs)),
        device_w(w),
        device_bias(bias),
        device_multiply(multiply),
        y(static_cast<size_t>(rows * outputs)) {}

  VectorOp op(const float* x, Function function) {
    VectorOp op{inputs, outputs, x};
    op.w = device_w.data();
    op.bias = device_bias.data();
    op.function = function;
    op.multiply = device_multiply.data();
    op.y = y.data();
    return op;
  }

  /** The result, and how large its terms are, from x in f64. */
  std::vector<double> want(const std::vector<double>& x, Function function, std::vector<double>& magnitudes) const {
    const auto dw = to_doubles(w);
    std::vector<double> result;
    magnitudes.clear();
    for (int r = 0; r < rows; r++)
      for (int o = 0; o < outputs; o++) {
        double sum = static_cast<double>(bias[static_cast<size_t>(o)]), magnitude = std::fabs(sum);
        for (int k = 0; k < inputs; k++) {
          const double term = x[static_cast<size_t>(r * inputs + k)] * dw[static_cast<size_t>(k * outputs + o)];
          sum += term;
          magnitude += std::fabs(term);
        }
        const double m = static_cast<double>(multiply[static_cast<size_t>(r * outputs + o)]);
        result.push_back(reference(function, sum) * m);
        magnitudes.push_back(1.5 * (magnitude + 1) * std::fabs(m));
      }
    return result;
  }
};

}  // namespace

CUDA_TEST(vector_dense_is_the_reference) {
  Random random;
  struct Case {
    int rows, inputs, outputs;
  };
  for (const Case& c : {Case{1, 8, 8}, {3, 24, 40}, {5, 264, 72}, {9, 2056, 24}, {1, 4104, 352}})
    for (const Function function : {Function::none, Function::relu, Function::hswish, Function::sigmoid}) {
      const Trace trace(std::to_string(c.rows) + " × " + std::to_string(c.inputs) + " → " + std::to_string(c.outputs));
      const auto x = random_rows<float>(random, static_cast<size_t>(c.rows), c.inputs, c.inputs);
      Layer layer(random, c.rows, c.inputs, c.outputs);
      DeviceArray<float> device_x(x);
      VectorChain chain{c.rows, 1, {layer.op(device_x.data(), function)}, {0}};
      vector_chain(chain, 4, nullptr, nullptr);
      std::vector<double> magnitudes;
      const auto want = layer.want(to_doubles(x), function, magnitudes);
      expect_close(layer.y.doubles(), want, {0x1p-24, static_cast<double>(c.inputs), 0, 0x1p-30}, magnitudes);
    }
}

CUDA_TEST(vector_map_is_the_reference) {
  Random random;
  for (const int channels : {8, 24, 520}) {
    const int rows = 5;
    const auto x = random_rows<float>(random, rows, channels, channels, 4), times = random_rows<float>(random, rows, channels, channels);
    const auto multiply = random_rows<float>(random, rows, channels, channels);
    for (const Function function : {Function::none, Function::relu, Function::hswish, Function::sigmoid}) {
      std::vector<double> want;
      for (size_t i = 0; i < x.size(); i++)
        want.push_back(reference(function, static_cast<double>(x[i]) * static_cast<double>(times[i])) * static_cast<double>(multiply[i]));
      DeviceArray<float> device_x(x), device_times(times), device_multiply(multiply), y(x.size());
      DeviceArray<half> y16(x.size());
      VectorOp op{channels, channels, device_x.data()};
      op.times = device_times.data();
      op.function = function;
      op.multiply = device_multiply.data();
      op.y = y.data();
      vector_chain({rows, 1, {op}, {0}}, 4, nullptr, nullptr);
      op.y = nullptr;
      op.y16 = y16.data();
      vector_chain({rows, 1, {op}, {0}}, 4, nullptr, nullptr);
      const std::vector<double> magnitudes(want.size(), 4);
      expect_close(y.doubles(), want, {0x1p-24, 8, 0, 0x1p-30}, magnitudes);
      expect_close(y16.doubles(), want, {0x1p-11, 8}, magnitudes);
    }
  }
}

/** Squeeze-and-excitation, then context gating of what it has scaled: two layers side by side, and three levels. */
CUDA_TEST(vector_chain_runs_its_levels_in_order) {
  Random random;
  for (const int rows : {1, 6})
    for (const int resident : {0, 1, 3, 80}) {
      const Trace trace(std::to_string(rows) + " rows, " + std::to_string(resident) + " blocks");
      const auto x = random_rows<float>(random, static_cast<size_t>(rows), 40, 40);
      Layer reduce(random, rows, 40, 64), expand(random, rows, 40, 136), excite(random, rows, 64, 136), gate(random, rows, 136, 136);
      DeviceArray<float> device_x(x);
      DeviceArray<int> counters(std::vector<int>(vector_chain_counters, 0));
      VectorChain chain{rows, 4, {}, {0, 0, 1, 2}};
      chain.op[0] = reduce.op(device_x.data(), Function::relu);
      chain.op[1] = expand.op(device_x.data(), Function::none);
      chain.op[2] = excite.op(reduce.y.data(), Function::sigmoid);
      chain.op[3] = gate.op(expand.y.data(), Function::sigmoid);
      chain.op[3].times = excite.y.data();
      std::vector<double> m;
      const auto dx = to_doubles(x), reduced = reduce.want(dx, Function::relu, m), expanded = expand.want(dx, Function::none, m);
      auto scaled = excite.want(reduced, Function::sigmoid, m);
      for (size_t i = 0; i < scaled.size(); i++) scaled[i] *= expanded[i];
      const auto want = gate.want(scaled, Function::sigmoid, m);
      for (int run = 0; run < 3; run++) {
        vector_chain(chain, resident, counters.data(), nullptr);
        expect_close(gate.y.doubles(), want, {0x1p-24, 1000, 0, 0x1p-30}, m);
      }
      EXPECT(counters.read()[0] == 0);
    }
}

}  // namespace tvn::cuda::test
