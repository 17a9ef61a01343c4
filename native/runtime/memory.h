// Whether this machine can hold what a plan or a trainer needs.
#pragma once

#include <unistd.h>

#include <cstddef>
#include <string>

#include "core/error.h"

namespace tvn {

/** Throws Error("ERR_MEMORY") when `bytes` exceed the physical memory: overcommitment would grant it and kill the process later. */
inline void require_memory(std::size_t bytes) {
  const std::size_t physical = static_cast<std::size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<std::size_t>(sysconf(_SC_PAGE_SIZE));
  if (bytes > physical)
    throw Error("ERR_MEMORY", "needs " + std::to_string(bytes >> 20) + " MiB, this machine has " + std::to_string(physical >> 20) + " MiB");
}

}  // namespace tvn
