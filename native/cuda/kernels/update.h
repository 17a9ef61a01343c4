// The end of a training step, over all parameters at once: dynamic loss scaling, SGD with (Nesterov) momentum on f32 master weights, and
// the halves that the next step multiplies with.
//
//   g = gradient / loss scale,  d = g + decay·w,  v = momentum·v + d,  w −= rate·(nesterov ? d + momentum·v : v)
//
// All parameters lie one after another in arenas of the same layout (w, v, g, halves), cut into segments; what lies between two segments
// is left alone, but must be finite in g. If any gradient is infinite or NaN, the step is skipped: no parameter, velocity or running
// statistic changes, the loss scale is halved and the step is counted as skipped; after `growth_interval` good steps in a row the scale is
// doubled (Micikevicius et al. 2018).
#pragma once

#include <cstdint>

#include "cuda/kernels/shape.h"

namespace tvn::cuda {

enum class SegmentKind : int32_t {
  decayed,           // a weight
  plain,             // a bias, gamma or beta: no weight decay
  running_mean,      // w = decay·w + (1 − decay)·g, g being the batch's mean
  running_variance,  // the same, g being the batch's biased variance, times `bessel`
};

struct Segment {
  int64_t first;  // element in the arenas, a multiple of 8
  int64_t count;  // a multiple of 8
  SegmentKind kind;
  float bessel;  // M / (M − 1); 1 where M is 1
};

/** On the device; the host reads it after a step. */
struct ScalerState {
  float scale;            // of the loss in this step and, after the update, in the next
  int good_steps;         // in a row
  int skipped;            // 1 if this step was
  int64_t skipped_steps;  // since the beginning
};

struct UpdateArgs {
  int segments;
  const Segment* segment;  // on the device, in order of `first`
  int64_t size;            // of the arenas
  float* w;
  float* v;
  const float* g;     // times the loss scale, except for running statistics
  half* halves;       // w rounded; not written for running statistics
  const float* rate;  // one, on the device: it changes from step to step
  float momentum, weight_decay, running_decay;
  bool nesterov;
  int growth_interval;  // steps
  ScalerState* scaler;
  int* overflow;  // one, zero before and after
};

/** Three launches: looks for gradients that are not finite, updates, then changes the scale. */
void update(const UpdateArgs&, cudaStream_t);

constexpr float largest_loss_scale = 16777216.0f, smallest_loss_scale = 1.0f;

}  // namespace tvn::cuda
