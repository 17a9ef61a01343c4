// Where tensors lie in one arena: lifetimes are known before anything runs, so nothing is allocated while it runs.
#pragma once

#include <cstddef>
#include <vector>

namespace tvn {

/** A block of memory needed from step `first` to step `last`, both included. */
struct Lifetime {
  std::size_t bytes;
  int first, last;
};

struct MemoryPlan {
  std::vector<std::size_t> offsets;  // one a lifetime, each a multiple of a cache line
  std::size_t bytes = 0;             // size of the arena
};

/** Largest first, each into the tightest gap between the blocks that live at the same time. */
MemoryPlan plan_memory(const std::vector<Lifetime>& lifetimes);

}  // namespace tvn
