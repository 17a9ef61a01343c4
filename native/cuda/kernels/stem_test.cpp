#include "cuda/kernels/stem.h"

#include <cmath>

#include "cuda/test/test.h"

namespace tvn::cuda::test {

CUDA_TEST(stem_is_the_reference) {
  Random random;
  for (const int rows : {1, 7, 300, 2049})
    for (const int outputs : {8, 24, 64, 72}) {
      const Trace trace(std::to_string(rows) + " rows, " + std::to_string(outputs) + " outputs");
      std::vector<uint8_t> x(static_cast<size_t>(rows * 3));
      for (uint8_t& byte : x) byte = static_cast<uint8_t>(random.bits());
      const auto w = random_rows<half>(random, 3, outputs, outputs);
      auto stored = w;
      stored.resize(static_cast<size_t>(8 * outputs));
      const auto bias = random_rows<float>(random, 1, outputs, outputs);
      const auto dw = to_doubles(w);
      std::vector<double> want, magnitudes;
      for (int r = 0; r < rows; r++)
        for (int o = 0; o < outputs; o++) {
          double sum = static_cast<double>(bias[static_cast<size_t>(o)]), magnitude = std::fabs(sum);
          for (int c = 0; c < 3; c++) {
            const double term = (x[static_cast<size_t>(r * 3 + c)] / 127.5 - 1) * dw[static_cast<size_t>(c * outputs + o)];
            sum += term;
            magnitude += std::fabs(term);
          }
          want.push_back(sum < 0 ? 0 : sum);
          magnitudes.push_back(magnitude);
        }
      DeviceArray<uint8_t> device_x(x);
      DeviceArray<half> device_w(stored), y(want.size());
      DeviceArray<float> device_bias(bias);
      stem_forward({rows, outputs, device_x.data(), device_w.data(), device_bias.data(), Function::relu, y.data()}, nullptr);
      expect_close(y.doubles(), want, {0x1p-11, 3, 1}, magnitudes);
    }
}

}  // namespace tvn::cuda::test
