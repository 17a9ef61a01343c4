// Sizes that break kernels: around every vector width, primes, one, nothing.
#pragma once

#include <cstdint>

namespace tvn::test {

/** Elements of an elementwise op; the last ones span several chunks of work. */
inline constexpr int64_t hostile_sizes[] = {0, 1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 1009, 65537, 100003};

/** Channels: below, at and above 8 and 16 lanes, with every kind of common period, and the widths of real networks. */
inline constexpr int64_t hostile_channels[] = {1, 2, 3, 5, 7, 8, 9, 12, 15, 16, 17, 24, 31, 32, 33, 48, 65, 144, 257};

/** Rows: positions of a tensor. */
inline constexpr int64_t hostile_rows[] = {1, 2, 3, 15, 16, 17, 67, 509};

/** Lengths of a spatial or temporal axis. */
inline constexpr int64_t hostile_lengths[] = {1, 2, 3, 5, 8, 13};

/** Elements behind a cache line where a tensor starts. */
inline constexpr int64_t hostile_misalignments[] = {0, 1, 5};

}  // namespace tvn::test
