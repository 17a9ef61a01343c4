#include "cuda/tools/convolutions.h"

#include "cuda/runtime/device.h"
#include "cuda/test/cudnn_stand_in.h"

namespace tvn::cuda::tools {
namespace {

using namespace test;

/** Two convolutions that are alike, one with another stride, one over T, H and W, and one of means. */
Program some_convolutions() {
  tvn::Graph graph;
  graph.input = "clips", graph.output = "logits", graph.input_shape = {1, 4, 12, 12, 3};
  const auto add = [&](OpKind kind, const std::string& input, const std::string& output, const std::vector<std::string>& parameters) {
    return &graph.ops.emplace_back(Op{kind, output, {input}, output, parameters, {}});
  };
  const auto conv = [&](const std::string& input, const std::string& output, int64_t channels, Int3 kernel, Int3 stride) {
    graph.parameters[output + ".w"] = {kernel.t, kernel.h, kernel.w, channels, 8};
    Op* const op = add(OpKind::conv, input, output, {output + ".w"});
    op->attributes.kernel = kernel, op->attributes.stride = stride;
  };
  add(OpKind::normalize, "clips", "pixels", {});
  conv("pixels", "a", 3, {1, 3, 3}, {1, 1, 1});
  conv("a", "b", 8, {1, 3, 3}, {1, 1, 1});
  conv("b", "c", 8, {1, 3, 3}, {1, 2, 2});
  conv("c", "d", 8, {3, 3, 3}, {1, 1, 1});
  add(OpKind::mean, "d", "means", {});
  conv("means", "logits", 8, {1, 1, 1}, {1, 1, 1});
  return tvn::check(graph);
}

}  // namespace

CUDA_TEST(convolutions_of_a_network_are_listed_once) {
  const auto list = distinct_convolutions(some_convolutions(), 2);
  EXPECT(list.size() == 3);
  if (list.size() != 3) return;
  EXPECT(list[0].name == "a" && list[0].count == 2 && list[0].macs == 2 * 4 * 12 * 12 * 9 * 3 * 8);  // b is stored alike
  EXPECT(list[1].name == "c" && list[1].count == 1 && list[1].shape.x.n == 2 && list[1].shape.y.h == 6);
  EXPECT(list[2].name == "d" && list[2].count == 1 && list[2].shape.window.kt == 3);
}

#ifdef TVN_EMULATION

CUDA_TEST(convolutions_are_timed_beside_cudnn) {
  const auto list = distinct_convolutions(some_convolutions(), 2);
  {
    const WithStandIn stand_in;
    EXPECT(cudnn_absence().empty());
    for (const Convolution& convolution : list) {
      const Trace trace(convolution.name);
      const ConvolutionTimes times = time_convolution(convolution.shape, 2);
      EXPECT(times.runs >= 1 && times.runs <= 2 && times.ours > 0 && times.ours < 1e4);
      if (convolution.name == "d")
        EXPECT(!times.cudnn && times.refusal == "cuDNN's convolutions cannot express it");
      else
        EXPECT(times.cudnn && *times.cudnn > 0 && *times.cudnn < 1e4 && times.refusal.empty());
    }
  }
  const WithEnvironment off("TVN_CUDNN", "off");
  EXPECT(cudnn_absence() == "TVN_CUDNN is off");
  const ConvolutionTimes times = time_convolution(list.at(0).shape, 1);
  EXPECT(times.ours > 0 && !times.cudnn && times.refusal == "TVN_CUDNN is off");
}

#endif

}  // namespace tvn::cuda::tools
