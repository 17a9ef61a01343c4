// Dispatch: an ordered list per op and pass, best first, the reference last.
#pragma once

#include <span>

#include "core/isa.h"

namespace tvn {

template <class Function>
struct Kernel {
  const char* name;  // <op>_<pass>_<types>_<isa>
  Isa isa;           // the level it needs
  Function* run;
};

/** The first kernel of the list whose instruction set is allowed. Lists end with a reference kernel, so there always is one. */
template <class K>
const K& select(std::span<const K> list, Isa allowed) {
  for (const K& kernel : list)
    if (kernel.isa <= allowed) return kernel;
  return list.back();
}

}  // namespace tvn
