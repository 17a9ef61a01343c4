// Which kernels were launched with how many blocks, recorded ones as well. Only the emulation tells: it is linked with a submit() of ours
// in front of its own.
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
/** Those since the last call. */
std::vector<Launch> take_launches();

}  // namespace tvn::cuda::tools
