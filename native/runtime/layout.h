// The steps of a plan, layers alone or in bands, and the memory that their tensors and scratch share.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/buffer.h"
#include "runtime/band.h"
#include "runtime/layer.h"

namespace tvn {

using Layers = std::vector<std::unique_ptr<Layer>>;

/** One or more layers. */
struct Step {
  size_t first, end;
  std::optional<Band> band;  // null for one layer
  std::string cut = {};      // the name of the way that was chosen, where it is not the usual one

  size_t size() const { return end - first; }
};

/** Every layer alone, or in the bands that are worth it. */
std::vector<Step> make_steps(const Program& program, const Layers& layers, int64_t batch, int threads, const BandLimits& limits);

class Layout {
 public:
  /** `parameters`, by layer, are bound already; at least `least_scratch` floats of scratch. Throws Error("ERR_MEMORY"). */
  Layout(const Program& program, const Layers& layers, std::vector<Step> steps, int64_t batch, std::vector<Operands> parameters,
         size_t least_scratch = 0);

  const std::vector<Step>& steps() const { return steps_; }
  void set_clips(const uint8_t* clips);
  void run(const Step& step, ThreadPool& pool) const;
  const float* logits() const { return logits_; }

  /** All memory. */
  std::span<float> arena() { return {arena_.data(), arena_.size()}; }
  std::span<const float> arena() const { return {arena_.data(), arena_.size()}; }
  /** The largest two activations that a step needs at the same time, and the largest scratch: both lie in the arena. */
  size_t activation_bytes() const { return activation_bytes_; }
  size_t scratch_bytes() const { return scratch_bytes_; }

 private:
  const Layers& layers_;
  std::vector<Step> steps_;
  std::vector<Operands> operands_;
  std::vector<size_t> clip_readers_;  // layers that read the clip
  Buffer<float> arena_;
  const float* logits_ = nullptr;
  size_t activation_bytes_ = 0, scratch_bytes_ = 0;
};

}  // namespace tvn
