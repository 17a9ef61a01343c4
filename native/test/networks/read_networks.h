// Networks as scripts/network-text.mjs writes them, line by line:
//
//   network <name> <seed>                     begins one; the seed is that of its weights and clips
//   repeat <command>                          runs this network alone, or makes it again
//   cost <macs> <parameters>                  multiply-accumulates of a clip, trainable parameters; optional
//   input <tensor> <T> <H> <W> <C>
//   parameter <name> <extent>…
//   op <kind> <key>=<value>…                  name, inputs, output, parameters by slot, attributes; lists are separated by commas
//   output <tensor>
#pragma once

#include <cstdint>
#include <istream>
#include <string>
#include <vector>

#include "graph/graph.h"

namespace tvn::test {

struct NamedGraph {
  std::string name;
  uint64_t seed = 0;
  std::string repeat;
  int64_t macs = 0, trainable = 0;  // 0: not said
  Graph graph;
};

/** Throws Error("ERR_FILE") with the line that cannot be read. */
std::vector<NamedGraph> read_networks(std::istream& in);

}  // namespace tvn::test
