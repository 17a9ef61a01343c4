// A Graph compiled for inference, on a CPU (cpu_plan.h) or a GPU (cuda_plan.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "runtime/stage.h"
#include "runtime/tuning.h"

namespace tvn {

struct MeasureOptions {
  int runs;
  std::span<const uint8_t> clips;  // a whole number of batches, cycled through
  bool cold;                       // evict the caches before each run; of a CPU only
  int core;                        // pin to this core and those after it (ThreadPool::pin); −1: leave the threads free
};

/** Milliseconds of each run. */
struct RunTimes {
  std::vector<double> host;    // from the clips in the caller's memory to its logits
  std::vector<double> device;  // of the kernels alone, by the device's own clock; empty where the host is the device
};

/** Bytes; of the arena, which is all but the weights, `activations` and `scratch` as Layout has them. */
struct PlanMemory {
  size_t weights, arena, activations, scratch;
};

/** One batch size, one call at a time. On a GPU, calls throw Error: ERR_MEMORY, ERR_DEVICE_LOST. */
class Plan {
 public:
  virtual ~Plan() = default;

  virtual int64_t clip_bytes() const = 0;  // of a batch
  virtual int64_t logits_size() const = 0;

  /** u8 [batch, T, H, W, 3] → logits [batch, classes]. */
  virtual void run(const uint8_t* clips, float* logits) = 0;
  /** The same; writes the milliseconds of each stage. */
  virtual void profile(const uint8_t* clips, double* stage_ms) = 0;
  virtual RunTimes measure(const MeasureOptions& options) = 0;

  virtual const std::vector<Stage>& stages() const = 0;
  /** What was known or found of how to cut the steps. */
  virtual const Choices& choices() const = 0;
  virtual PlanMemory memory() const = 0;
};

}  // namespace tvn
