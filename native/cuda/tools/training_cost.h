// What each kernel of a training step multiplies, reads and writes, from the graph alone.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cuda/tools/subject.h"

namespace tvn::cuda::tools {

struct KernelCost {
  std::string name;    // of the layer
  std::string kernel;  // "conv weight gradient"
  std::string file;    // that launches it: "conv_weight_gradient.cu"
  int64_t macs, bytes;
};
/**
 * In the order in which Trainer launches them. Every tensor that a kernel reads or writes counts once, parts of sums that another kernel
 * adds up twice: written, and read by that one.
 */
std::vector<KernelCost> training_costs(const Subject& subject, int64_t batch);

/** Has a trainer record a step, so that take_launches() tells of it; nothing is run. */
void record_training_step(const Subject& subject, int64_t batch);

}  // namespace tvn::cuda::tools
