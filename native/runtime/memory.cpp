#include "runtime/memory.h"

#include <malloc.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>

#include "core/error.h"

namespace tvn {

std::size_t available_memory() {
  std::ifstream meminfo("/proc/meminfo");
  std::string key;
  for (std::size_t kib = 0; meminfo >> key >> kib; meminfo.ignore(16, '\n'))
    if (key == "MemAvailable:") return kib << 10;
  return static_cast<std::size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<std::size_t>(sysconf(_SC_PAGE_SIZE));
}

void require_memory(std::size_t bytes) {
  const std::size_t available = available_memory();
  if (bytes > available)
    throw Error("ERR_MEMORY",
                "needs " + std::to_string(bytes >> 20) + " MiB, this machine has " + std::to_string(available >> 20) + " MiB left");
}

void share_arena() {
  if (!std::getenv("MALLOC_ARENA_MAX")) mallopt(M_ARENA_MAX, 1);
}

void release_freed_memory() { malloc_trim(0); }

}  // namespace tvn
