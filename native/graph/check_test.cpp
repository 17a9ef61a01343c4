#include <gtest/gtest.h>

#include "core/error.h"
#include "graph/graph.h"
#include "test/graphs.h"

namespace tvn {
namespace {

Graph valid() {
  test::Random random;
  test::GraphBuilder g(random, {1, 4, 9, 7, 3});
  return g.build(block_network(g));
}

Op& find(Graph& graph, const std::string& name) {
  for (Op& op : graph.ops)
    if (op.name == name) return op;
  throw std::logic_error("no op " + name);
}

TEST(Check, InfersShapes) {
  const Program program = check(valid());
  const auto shape = [&](const std::string& name) {
    for (const TensorInfo& tensor : program.tensors)
      if (tensor.name == name) return to_string(tensor.shape);
    return std::string("missing");
  };
  EXPECT_EQ(shape("pointwise"), "4×9×7×10");
  EXPECT_EQ(shape("spatial"), "4×5×4×12");
  EXPECT_EQ(shape("sum"), "4×5×4×20");
  EXPECT_EQ(shape("depthwise"), "4×3×2×20");
  EXPECT_EQ(shape("head"), "1×1×1×5");
}

TEST(Check, CountsMultiplyAccumulates) {
  const Program program = check(valid());
  const auto macs = [&](const std::string& name) {
    for (const Node& node : program.nodes)
      if (node.name == name) return multiply_accumulates(program, node);
    return int64_t{-1};
  };
  EXPECT_EQ(macs("spatial"), 4 * 5 * 4 * 12 * 9 * 10);
  EXPECT_EQ(macs("temporal"), 4 * 5 * 4 * 12 * 3 * 12);
  EXPECT_EQ(macs("depthwise"), 4 * 3 * 2 * 20 * 9);
  EXPECT_EQ(macs("head"), 100);
  EXPECT_EQ(macs("sum"), 0);
}

TEST(Check, MarksRunningStatisticsAsNotTrainable) {
  int running = 0;
  for (const ParameterInfo& parameter : check(valid()).parameters) {
    const bool statistic = parameter.name.ends_with(".mean") || parameter.name.ends_with(".variance");
    EXPECT_EQ(parameter.trainable, !statistic) << parameter.name;
    running += statistic;
  }
  EXPECT_EQ(running, 14);
}

struct Fault {
  const char* what;
  void (*plant)(Graph&);
  const char* said;  // part of the message
};

const Fault faults[] = {
    {"an unknown tensor", [](Graph& g) { find(g, "spatial").inputs[0] = "nowhere"; }, "nowhere"},
    {"a tensor that comes later", [](Graph& g) { find(g, "spatial").inputs[0] = "expand"; }, "no op before it writes"},
    {"two ops of one name", [](Graph& g) { find(g, "spatial").name = "temporal"; }, "two ops have this name"},
    {"two ops write one tensor", [](Graph& g) { find(g, "spatial").output = "pointwise"; }, "two ops write"},
    {"a missing input", [](Graph& g) { find(g, "sum").inputs.pop_back(); }, "missing"},
    {"too many inputs", [](Graph& g) { find(g, "sum").inputs.push_back("sum"); }, "at most 2"},
    {"summands of two shapes", [](Graph& g) { find(g, "sum").inputs[1] = "spatial"; }, "4×5×4×12"},
    {"a weight of the wrong extents",
     [](Graph& g) {
       g.parameters["spatial.weight"] = {1, 3, 3, 10, 13};
     },
     "spatial"},
    {"a weight of the wrong rank",
     [](Graph& g) {
       g.parameters["spatial.weight"] = {3, 3, 10, 12};
     },
     "[3,3,10,12]"},
    {"a weight without extents", [](Graph& g) { g.parameters["spatial.weight"] = {}; }, "[]"},
    {"a parameter that is not listed", [](Graph& g) { g.parameters.erase("spatial.weight"); }, "spatial.weight"},
    {"a parameter that nothing uses", [](Graph& g) { g.parameters["extra"] = {1}; }, "extra"},
    {"a parameter used twice",
     [](Graph& g) {
       find(g, "sum.activation").kind = OpKind::batch_norm, find(g, "sum.activation").parameters = find(g, "expand.norm").parameters;
     },
     "used twice"},
    {"a missing parameter", [](Graph& g) { find(g, "spatial").parameters = {}; }, "weight is missing"},
    {"a kernel of nothing", [](Graph& g) { find(g, "spatial").attributes.kernel.h = 0; }, "1…64"},
    {"a negative stride", [](Graph& g) { find(g, "spatial").attributes.stride.w = -2; }, "1…64"},
    {"a valid window larger than the map",
     [](Graph& g) {
       find(g, "temporal").attributes.padding = Padding::valid, find(g, "temporal").attributes.kernel = {7, 1, 1};
     },
     "larger than its input"},
    {"a depthwise kernel over time", [](Graph& g) { find(g, "depthwise").attributes.kernel.t = 3; }, "one frame"},
    {"an activation of nothing", [](Graph& g) { find(g, "sum.activation").attributes.function = Function::none; }, "not possible"},
    {"the clip read directly", [](Graph& g) { find(g, "pointwise").inputs[0] = "clip"; }, "u8 clip"},
    {"floats normalized", [](Graph& g) { find(g, "sum.activation").kind = OpKind::normalize; }, "u8 clip"},
    {"a clip of one channel", [](Graph& g) { g.input_shape.c = 1; }, "RGB"},
    {"a clip without frames", [](Graph& g) { g.input_shape.t = 0; }, "extents"},
    {"a clip beyond all bounds",
     [](Graph& g) {
       g.input_shape = {1, 1 << 20, 1 << 20, 1 << 20, 3};
     },
     "too large"},
    {"an output that nothing writes", [](Graph& g) { g.output = "none"; }, "none"},
    {"an output that is a map", [](Graph& g) { g.output = "sum"; }, "1×1×1×classes"},
    {"no ops", [](Graph& g) { g.ops.clear(); }, "no op writes"},
};

TEST(Check, RefusesIllegalGraphsAndSaysWhy) {
  for (const Fault& fault : faults) {
    SCOPED_TRACE(fault.what);
    Graph graph = valid();
    fault.plant(graph);
    try {
      check(graph);
      ADD_FAILURE() << "accepted";
    } catch (const Error& error) {
      EXPECT_STREQ(error.code(), "ERR_GRAPH_INVALID");
      EXPECT_NE(std::string(error.what()).find(fault.said), std::string::npos) << error.what();
    }
  }
}

TEST(OpTable, ParsesNames) {
  EXPECT_EQ(find_op("batch_norm"), OpKind::batch_norm);
  EXPECT_EQ(find_op("batchnorm"), std::nullopt);
  EXPECT_EQ(find_value<Function>("hswish"), Function::hswish);
  EXPECT_EQ(find_value<Function>("Hswish"), std::nullopt);
  EXPECT_EQ(split_names("a b? c").size(), 3u);
  EXPECT_TRUE(split_names("").empty());
}

}  // namespace
}  // namespace tvn
