// How a kernel cuts its work.
#pragma once

namespace tvn {

/** Every choice has the same bits; which is the fastest depends on the machine (runtime/tuning.h). */
struct Tiling {
  int panel = 0;        // vectors of output channels in a register tile; 0: the most
  int block = 0;        // blocks of 2^block times the usual size
  bool fetch_y = true;  // prefetches the lines of y that a tile will write
  bool operator==(const Tiling&) const = default;
};

}  // namespace tvn
