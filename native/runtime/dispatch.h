// Why a layer runs the kernel that it runs: for people, never for the choice itself.
#pragma once

#include <string>
#include <vector>

#include "runtime/layer.h"

namespace tvn {

/** The kernels in front of the chosen one in the node's dispatch list, best first, each with the reason: "<kernel>: does not pay". */
std::vector<std::string> refused_kernels(const Program& program, const Node& node, const LayerOptions& options, const std::string& chosen);

}  // namespace tvn
