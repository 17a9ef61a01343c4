// The convolutions of a network one by one, alone: our tiles beside cuDNN's algorithms.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cuda/kernels/conv.h"
#include "cuda/runtime/program.h"

namespace tvn::cuda::tools {

struct Convolution {
  std::string name;  // of the first that is so
  int count;         // how many of the network are so
  int64_t macs;      // of one
  ConvShape shape;
};
/** Of maps, without two alike; those of single positions are layers of gates and heads. Throws Error("ERR_MEMORY") for too large a batch.
 */
std::vector<Convolution> distinct_convolutions(const Program& program, int64_t batch);

/** Why cuDNN is not to be had for benchmarks; empty if it is. */
std::string cudnn_absence();

/** Milliseconds of the convolution alone: by our fastest tile, and by cuDNN's fastest algorithm or why there is none. */
struct ConvolutionTimes {
  int runs;  // that were timed together, at most `most_runs`
  double ours;
  std::optional<double> cudnn;
  std::string refusal;
};
ConvolutionTimes time_convolution(const ConvShape& shape, int most_runs);

}  // namespace tvn::cuda::tools
