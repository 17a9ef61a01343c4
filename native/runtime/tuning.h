// Which way to cut a step's work is the fastest depends on caches and units, and no table knows the next machine: a plan tries the ways,
// which all have the same bits, and says what it found, so that later plans need not.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "runtime/fastest.h"
#include "runtime/layout.h"
#include "runtime/stage.h"

namespace tvn {

/** By Stage::key the name of the way that was chosen; "usual" where none was clearly better. */
using Choices = std::map<std::string, std::string>;

struct Tuning {
  Choices known;
  double seconds = 0;  // about so long may be searched; 0: what is not known is done as usual
};

/**
 * Chooses between the ways of one plan's steps. Layers with a large share in the plan are looked at, the largest first; a way must be
 * clearly faster than the usual one to be chosen. What is known is not measured again; what there was no time for is done as usual and
 * left to a later plan. A batch plays no part in a choice.
 */
class Tuner {
 public:
  /** `parameters`, by layer, hold the weights while the tuner is used. Layers must be packed after it. */
  Tuner(const Program& program, const Layers& layers, const std::vector<Operands>& parameters, const LayerOptions& options,
        const BandLimits& bands, const Tuning& tuning, ThreadPool& pool);

  /** The steps, cut as was chosen; the layers have their tilings. */
  std::vector<Step> steps();
  /** What of these steps was known, or was found by trying. */
  const Choices& choices() const { return choices_; }

 private:
  struct Way;
  struct Candidate;

  std::vector<Way> ways(const Step& step) const;
  void choose(std::vector<Step>& steps, bool bands, Clock::time_point end);
  void measure(const std::vector<Step>& steps, std::vector<Candidate*>& open, Clock::time_point end);
  void take(const Step& step, const Way& way, std::vector<Step>& steps);

  const Program& program_;
  const Layers& layers_;
  const std::vector<Operands>& parameters_;
  LayerOptions options_;
  BandLimits bands_;
  const Tuning& tuning_;
  ThreadPool& pool_;
  Choices choices_;
  int64_t cost_ = 0;
};

}  // namespace tvn
