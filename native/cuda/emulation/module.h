// The program or library that holds the emulation and the kernels.
#pragma once

#include <cstddef>
#include <vector>

namespace tvn::emulation {

struct Module {
  const char* file;                    // name
  unsigned char* base;                 // what addresses in the file are added to
  unsigned char* thread_local_memory;  // the calling thread's
};
Module this_module();

/** A variable of a function: from `base`, or from `thread_local_memory` if it is thread_local. */
struct Variable {
  std::size_t offset, size;
};
/** All that are zero at first, thread_local or not, by the file's symbols; none where it has been stripped. */
std::vector<Variable> variables_of_functions(bool of_threads);

}  // namespace tvn::emulation
