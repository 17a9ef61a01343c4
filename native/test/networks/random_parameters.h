// Random weights under which a whole network stays well conditioned.
#pragma once

#include <cmath>

#include "test/networks/interpreter.h"
#include "test/random.h"

namespace tvn::test {

/**
 * Draws the parameters of one op from its input x in a run of the network. Weights are uniform with He's variance, biases in ±½. A norm's
 * running statistics are those that x might have: variance ½ to 1½ times the mean square of x, means up to a third of its root; gamma lies
 * in ½…1½, beta in ±½. So all tensors are of the order of one, gates stay near their middle and no softmax saturates, however deep the
 * network: rounding errors neither grow nor vanish on the way.
 */
inline void draw_parameters(const Program& program, const Node& node, const Values& x, Random& random, Parameters& parameters) {
  double square = 0;
  for (const double value : x) square += value * value / static_cast<double>(x.size());
  const auto draw = [&](size_t slot, double spread, double center = 0) {
    if (slot >= node.parameters.size() || node.parameters[slot] < 0) return;
    const ParameterInfo& info = program.parameters[static_cast<size_t>(node.parameters[slot])];
    std::vector<float>& values = parameters[info.name];
    values.resize(static_cast<size_t>(info.size));
    random.fill<float>(values, spread, center);
  };
  if (node.kind == OpKind::batch_norm) {
    draw(0, 0.5, 1);
    draw(1, 0.5);
    draw(2, std::sqrt(square) / 3);
    draw(3, square / 2, square);
  } else if (!node.parameters.empty()) {  // conv, depthwise, dense
    const ParameterInfo& weight = program.parameters[static_cast<size_t>(node.parameters[0])];
    draw(0, std::sqrt(6.0 * static_cast<double>(weight.extents.back()) / static_cast<double>(weight.size)));
    draw(1, 0.5);
  }
}

}  // namespace tvn::test
