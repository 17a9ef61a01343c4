// Limits of the emulated device.
#pragma once

#include <cstddef>

namespace tvn::emulation {

constexpr int multiprocessors = 80;
constexpr int most_threads = 1024;  // of a block
constexpr std::size_t default_dynamic_shared = std::size_t{48} << 10;
constexpr int oldest_driver = 11080;

/** Bytes of dynamic shared memory that a kernel may ask for, if it says so before. */
std::size_t most_dynamic_shared();
constexpr unsigned round_to_warps(unsigned threads) { return (threads + 31) / 32 * 32; }
/** How many blocks fit on a multiprocessor: by threads and dynamic shared memory, not by registers. */
int active_blocks(unsigned threads, std::size_t dynamic_shared);

}  // namespace tvn::emulation
