// Runs a Plan in tests.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "runtime/cpu_plan.h"

namespace tvn::test {

/** Logits of the clips. */
inline std::vector<float> run_plan(Plan& plan, std::span<const uint8_t> clips) {
  std::vector<float> logits(static_cast<size_t>(plan.logits_size()));
  plan.run(clips.data(), logits.data());
  return logits;
}

}  // namespace tvn::test
