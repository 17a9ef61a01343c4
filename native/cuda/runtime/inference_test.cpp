#include "core/error.h"
#include "cuda/runtime/plan.h"
#include "cuda/test/test.h"

namespace tvn::cuda::test {
namespace {

/** Plans clips → convolution → its attention to itself → mean → dense. */
void plan_attention(Function function, int64_t channels) {
  tvn::Graph graph;
  graph.input = "clips", graph.output = "logits", graph.input_shape = {1, 2, 6, 6, 3};
  graph.parameters = {{"w", {1, 1, 1, 3, channels}}, {"dense.w", {channels, 4}}, {"dense.b", {4}}};
  const auto add = [&](OpKind kind, std::vector<std::string> inputs, const std::string& output,
                       std::vector<std::string> parameters) -> Op& {
    return graph.ops.emplace_back(Op{kind, output, std::move(inputs), output, std::move(parameters), {}});
  };
  add(OpKind::normalize, {"clips"}, "pixels", {});
  add(OpKind::conv, {"pixels"}, "features", {"w"}).attributes.function = function;
  add(OpKind::attention, {"features", "features", "features"}, "seen", {});
  add(OpKind::mean, {"seen"}, "means", {});
  add(OpKind::dense, {"means"}, "logits", {"dense.w", "dense.b"});

  Network network{tvn::check(graph), {}};
  std::vector<std::vector<float>> values;
  for (const ParameterInfo& info : network.program.parameters) values.emplace_back(static_cast<size_t>(info.size), 0.1f);
  for (const auto& of_one : values) network.values.emplace_back(of_one);
  const Plan plan(network, {0, 1, {}, 0});
}

}  // namespace

CUDA_TEST(inference_refuses_attention_over_channels_that_are_not_zero) {
  plan_attention(Function::sigmoid, 8);
  plan_attention(Function::relu, 5);
  try {
    plan_attention(Function::sigmoid, 5);
    fail("there is a plan");
  } catch (const Error& error) {
    EXPECT(std::string(error.code()) == "ERR_GRAPH_INVALID");
  }
}

}  // namespace tvn::cuda::test
