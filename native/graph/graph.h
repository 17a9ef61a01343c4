// A network as a list of ops over named tensors (Graph), and the same with everything resolved and checked (Program).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/shape.h"
#include "graph/op.h"

namespace tvn {

/** As the lowering writes it. Shapes are per clip: n = 1 stands for the batch. */
struct Graph {
  std::string input;   // u8 clip
  std::string output;  // logits
  Shape input_shape;
  std::map<std::string, std::vector<int64_t>> parameters;  // name → extents
  std::vector<Op> ops;                                     // topological order
};

/** Values of parameters and running statistics by name. */
using Parameters = std::map<std::string, std::vector<float>>;

struct TensorInfo {
  std::string name;
  Shape shape;        // n = 1
  int producer = -1;  // index of a node; −1 for the input
  int uses = 0;       // how many inputs read it
};

/** An op whose names are indices and whose geometry is known. */
struct Node {
  OpKind kind;
  std::string name;
  std::vector<int> inputs;      // tensors, −1 where absent in the middle of the row
  int output;                   // tensor
  std::vector<int> parameters;  // −1 where absent, in the row's order
  Attributes attributes;
  Window window;                      // conv, depthwise, pool
  Window shortcut_window = {};        // conv with a shortcut
  std::vector<std::string> absorbed;  // names of the ops fused into this one

  /** Whether the input of this slot is there. */
  bool has(size_t input) const { return input < inputs.size() && inputs[input] >= 0; }
};

struct ParameterInfo {
  std::string name;
  std::vector<int64_t> extents;
  int64_t size;
  bool trainable;  // false for running statistics
};

struct Program {
  std::vector<TensorInfo> tensors;
  std::vector<ParameterInfo> parameters;
  std::vector<Node> nodes;
  int input, output;

  const Shape& shape(int tensor) const { return tensors[static_cast<size_t>(tensor)].shape; }
};

/**
 * The verifier: says which graphs are legal. Resolves names, infers every shape and checks ranks, channels, windows and parameter
 * extents. Throws Error("ERR_GRAPH_INVALID") naming the op, the tensors and their shapes.
 */
Program check(const Graph& graph);

/** "2×7×7×64" */
std::string to_string(const Shape& shape);

/** Multiply-accumulates of a node for one clip: convolutions, depthwise, dense and attention; 0 for everything else. */
int64_t multiply_accumulates(const Program& program, const Node& node);

}  // namespace tvn
