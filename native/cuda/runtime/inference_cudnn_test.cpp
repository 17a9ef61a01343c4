// Plans with cuDNN, in whose place the emulation has a stand-in.
#include "cuda/runtime/inference_cudnn.h"

#include <cmath>

#include "cuda/runtime/plan.h"
#include "cuda/test/cudnn_stand_in.h"

#ifdef TVN_EMULATION

namespace tvn::cuda::test {
namespace {

constexpr int64_t batch = 2, classes = 5;
constexpr Int3 one{1, 1, 1};

/** Three convolutions that have no more than bias, function and residual; everything else is never offered. */
class TestNetwork {
 public:
  TestNetwork() {
    graph_.input = "clips", graph_.output = "logits", graph_.input_shape = {1, 3, 20, 14, 3};
    add(OpKind::normalize, {"clips"}, "pixels", {});
    conv({"pixels"}, "plane", 3, 17, {{1, 3, 3}, {1, 2, 2}}, Function::relu);  // an even map: one more behind
    conv({"plane"}, "time", 17, 40, {{3, 1, 1}, one}, Function::hswish);       // over T
    conv({"time", "plane"}, "sum", 40, 17, {{1, 3, 3}, one}, Function::relu);  // with a residual
    conv({"sum"}, "features", 17, 24, {one, one}, Function::relu);             // with a mean: ours alone
    add(OpKind::mean, {"features"}, "means", {});
    add(OpKind::dense, {"means"}, "logits", {parameter("dense.w", {24, classes}, 0.4), parameter("dense.b", {classes}, 0.5)});
    network_.program = tvn::check(graph_);
    for (const ParameterInfo& info : network_.program.parameters) network_.values.emplace_back(values_.at(info.name));
    clips_.resize(static_cast<size_t>(batch * network_.program.shape(network_.program.input).size()));
    for (uint8_t& byte : clips_) byte = static_cast<uint8_t>(random_.bits());
  }

  const Network& network() const { return network_; }
  Plan plan(const std::map<std::string, std::string>& known = {}, double seconds = 0) const {
    return Plan(network_, {0, batch, known, seconds});
  }
  std::vector<double> logits(Plan& plan) const {
    std::vector<float> logits(batch * classes);
    plan.run(clips_.data(), logits.data(), nullptr);
    std::vector<float> again = logits;
    double ms = 0;
    plan.run(clips_.data(), again.data(), &ms);  // by another graph
    EXPECT(again == logits);
    std::vector<double> stage_ms(plan.steps().size());
    plan.profile(clips_.data(), stage_ms.data());
    return {logits.begin(), logits.end()};
  }

 private:
  struct Window {
    Int3 kernel, stride;
  };
  Op& add(OpKind kind, std::vector<std::string> inputs, const std::string& output, std::vector<std::string> parameters) {
    return graph_.ops.emplace_back(Op{kind, output, std::move(inputs), output, std::move(parameters), {}});
  }
  void conv(const std::vector<std::string>& inputs, const std::string& output, int64_t channels, int64_t outputs, const Window& w,
            Function function) {
    const auto& [kernel, stride] = w;
    const int64_t terms = kernel.t * kernel.h * kernel.w * channels;
    Op& op = add(OpKind::conv, inputs, output,
                 {parameter(output + ".w", {kernel.t, kernel.h, kernel.w, channels, outputs}, std::sqrt(6.0 / static_cast<double>(terms))),
                  parameter(output + ".b", {outputs}, 0.5)});
    op.attributes.kernel = kernel, op.attributes.stride = stride, op.attributes.function = function;
  }
  std::string parameter(const std::string& name, const std::vector<int64_t>& extents, double spread) {
    size_t size = 1;
    for (const int64_t extent : extents) size *= static_cast<size_t>(extent);
    for (size_t i = 0; i < size; i++) values_[name].push_back(static_cast<float>(random_.uniform(-spread, spread)));
    graph_.parameters[name] = extents;
    return name;
  }

  Random random_;
  tvn::Graph graph_;
  std::map<std::string, std::vector<float>> values_;
  Network network_;
  std::vector<uint8_t> clips_;
};

/** Halves between layers, each rounded once more before bias and function; the logits are of the order of one. */
void expect_near(const std::vector<double>& got, const std::vector<double>& want) {
  expect_close(got, want, {0, 0, 8}, std::vector<double>(want.size(), 1));
}

std::vector<std::string> keys_with_cudnn(const Plan& plan) {
  std::vector<std::string> keys;
  for (const Step& step : plan.steps())
    if (step.library_way > 0) {
      EXPECT(step.library_way == step.ways.size() - 1 && step.ways.back() == "cuDNN");
      keys.push_back(step.key);
    }
  return keys;
}

/** The choices of a plan, with cuDNN wherever it may be chosen. */
std::map<std::string, std::string> choices_of_cudnn(const TestNetwork& network) {
  const Plan plan = network.plan({}, 60);
  auto choices = plan.choices();
  for (auto& [key, way] : choices)
    if (key.find(", or cuDNN 9.1.0") != std::string::npos) way = "cuDNN";
  return choices;
}

int steps_by_cudnn(const Plan& plan) {
  int steps = 0;
  for (const Step& step : plan.steps()) steps += step.ways[step.way] == "cuDNN";
  return steps;
}

}  // namespace

CUDA_TEST(cudnn_plans_have_the_same_results) {
  const TestNetwork network;
  std::vector<double> want;
  std::map<std::string, std::string> own_choices;
  {
    const WithEnvironment off("TVN_CUDNN", nullptr);
    Plan plan = network.plan({}, 60);
    EXPECT(keys_with_cudnn(plan).empty());
    own_choices = plan.choices();
    want = network.logits(plan);
  }
  const WithStandIn stand_in;
  const auto choices = choices_of_cudnn(network);
  Plan plan = network.plan(choices);
  EXPECT(keys_with_cudnn(plan).size() == 3);
  EXPECT(steps_by_cudnn(plan) == 3);
  expect_near(network.logits(plan), want);
  for (const auto& [key, way] : choices) EXPECT((way == "cuDNN") == (own_choices.count(key) == 0));  // nothing is shared with plans without
  Plan usual = network.plan();
  EXPECT(network.logits(usual) == want);  // as long as nobody has chosen it
}

CUDA_TEST(cudnn_is_chosen_where_it_is_faster) {
  const TestNetwork network;
  const WithStandIn stand_in;
  const Plan plan = network.plan({}, 60);  // loops of the host are faster than kernels of the emulation
  EXPECT(steps_by_cudnn(plan) == 3);
  Plan later = network.plan(plan.choices());
  EXPECT(steps_by_cudnn(later) == 3);
  for (const double logit : network.logits(later)) EXPECT(std::isfinite(logit));
}

CUDA_TEST(cudnn_leaves_to_us_what_it_refuses) {
  const TestNetwork network;
  std::map<std::string, std::string> choices;
  std::vector<double> want;
  {
    const WithStandIn stand_in;
    choices = choices_of_cudnn(network);
    const WithEnvironment off("TVN_CUDNN", "off");
    Plan plan = network.plan();
    want = network.logits(plan);
  }
  for (const char* const call :
       {"cudnnCreate", "cudnnCreateTensorDescriptor", "cudnnSetTensor4dDescriptor", "cudnnSetFilter4dDescriptor",
        "cudnnCreateConvolutionDescriptor", "cudnnSetConvolution2dDescriptor", "cudnnSetConvolutionMathType",
        "cudnnGetConvolutionForwardAlgorithm_v7", "cudnnGetConvolutionForwardWorkspaceSize", "cudnnSetStream", "cudnnConvolutionForward"}) {
    const Trace trace(call);
    const WithStandIn stand_in;
    const WithEnvironment fails("CUDNN_STAND_IN_FAILS", call);
    Plan plan = network.plan(choices);
    EXPECT(keys_with_cudnn(plan).empty() && steps_by_cudnn(plan) == 0);
    EXPECT(network.logits(plan) == want);
  }
}

CUDA_TEST(cudnn_that_is_asked_for_in_vain_is_an_error) {
  const TestNetwork network;
  for (const char* const setting : {"bogus", "/nowhere/libcudnn.so.9", CUDNN_STAND_IN_LACKING}) {
    const Trace trace(setting);
    const WithEnvironment in_vain("TVN_CUDNN", setting);
    try {
      network.plan();
      fail("there is a plan");
    } catch (const Error& error) {
      EXPECT(std::string(error.code()) == "ERR_DEVICE");
      EXPECT(std::string(error.what()).rfind("cuDNN cannot be used: ", 0) == 0);
    }
  }
}

CUDA_TEST(cudnn_errors_after_planning_are_thrown) {
  const TestNetwork network;
  const WithStandIn stand_in;
  Plan plan = network.plan(choices_of_cudnn(network));
  std::vector<uint8_t> clips(static_cast<size_t>(batch * 3 * 20 * 14 * 3));
  std::vector<float> logits(batch * classes);
  std::vector<double> stage_ms(plan.steps().size());
  const WithEnvironment fails("CUDNN_STAND_IN_FAILS", "cudnnConvolutionForward");
  plan.run(clips.data(), logits.data(), nullptr);  // a graph calls nothing
  bool thrown = false;
  try {
    plan.profile(clips.data(), stage_ms.data());
  } catch (const CudnnError&) {
    thrown = true;
  }
  EXPECT(thrown);
}

}  // namespace tvn::cuda::test

#endif
