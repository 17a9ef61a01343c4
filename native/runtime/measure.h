// The peak that every share of peak refers to, and single convolutions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/isa.h"
#include "core/shape.h"
#include "graph/op.h"

namespace tvn {

/** Peak of the calling thread in GFLOP/s, register-resident, for that level; the average. Throws Error("ERR_PRECISION"). */
double measure_peak(Isa isa, double milliseconds, Precision precision = Precision::f32);

enum class Pass { forward, data_gradient, weight_gradient };

struct ConvBenchmark {
  Shape x;
  int64_t output_channels;
  Int3 kernel, stride;
  bool depthwise;
  Pass pass;
  int threads;
  int runs;
  Precision precision = Precision::f32;  // of a dense forward pass
};

struct ConvTimes {
  std::string kernel;
  std::vector<double> ms;
};

/** Times one convolution kernel on random data, SAME padding, weights packed beforehand. Throws Error: ERR_MEMORY, ERR_PRECISION. */
ConvTimes benchmark_conv(const ConvBenchmark& options, Isa isa);

}  // namespace tvn
