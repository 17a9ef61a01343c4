// Which kernels are recorded with how many blocks. Only the emulation tells: it is linked with a submit() of ours in front of its own.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tvn::cuda::tools {

struct Launch {
  std::string file;  // "conv.cu"
  int64_t blocks;
  int threads;
};
/** From now on kernels are recorded, but nothing is run. */
void run_nothing();
/** Those recorded since the last call. */
std::vector<Launch> take_launches();

}  // namespace tvn::cuda::tools
