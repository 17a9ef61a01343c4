#include "graph/passes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "test/graphs.h"
#include "test/run_graph.h"

namespace tvn {
namespace {

int count(const Graph& graph, OpKind kind) {
  return static_cast<int>(std::count_if(graph.ops.begin(), graph.ops.end(), [&](const Op& op) { return op.kind == kind; }));
}

const Op& find(const Graph& graph, const std::string& name) {
  return *std::find_if(graph.ops.begin(), graph.ops.end(), [&](const Op& op) { return op.name == name; });
}

void expect_close(const std::vector<float>& got, const std::vector<float>& want, float tolerance = 2e-5f) {
  ASSERT_EQ(got.size(), want.size());
  float largest = 0;
  for (const float x : want) largest = std::max(largest, std::fabs(x));
  for (size_t i = 0; i < got.size(); i++) EXPECT_NEAR(got[i], want[i], tolerance * largest) << "logit " << i;
}

class Passes : public testing::Test {
 protected:
  void build(bool smooth = false) {
    test::GraphBuilder g(random_, {1, 4, 9, 7, 3});
    graph_ = g.build(block_network(g, smooth));
    owner_ = std::move(g.values());
    for (const auto& [name, value] : owner_) values_.borrow(name, value);
    clips_ = test::random_clips(random_, graph_, 2);
    want_ = test::run_graph(graph_, values_, clips_, 2);
  }
  std::vector<float> run() const { return test::run_graph(graph_, values_, clips_, 2); }

  test::Random random_;
  Graph graph_;
  std::map<std::string, std::vector<float>> owner_;
  ParameterValues values_;
  std::vector<uint8_t> clips_;
  std::vector<float> want_;
};

TEST_F(Passes, FoldBatchNorms) {
  build();
  fold_batch_norms(graph_, values_);
  EXPECT_EQ(count(graph_, OpKind::batch_norm), 0);
  EXPECT_EQ(graph_.parameters.count("spatial.bias"), 0u) << "a bias goes into the shift";
  expect_close(run(), want_);
}

TEST_F(Passes, FoldBatchNormsLeavesANormWhoseInputIsReadTwice) {
  test::GraphBuilder g(random_, {1, 2, 5, 5, 3});
  const std::string conv = g.conv("conv", "normalized", {1, 1, 1}, {1, 1, 1}, 3, 4);
  const std::string sum = g.add("sum", conv, g.norm(conv, 4));
  graph_ = g.build(g.dense(g.mean(sum), 4, 2));
  values_ = g.parameters();
  clips_ = test::random_clips(random_, graph_, 1);
  const auto want = test::run_graph(graph_, values_, clips_, 1);
  fold_batch_norms(graph_, values_);
  EXPECT_EQ(count(graph_, OpKind::batch_norm), 1);
  expect_close(test::run_graph(graph_, values_, clips_, 1), want);
}

TEST_F(Passes, FuseActivationsForTraining) {
  build();
  fuse_activations(graph_, Purpose::training);
  EXPECT_EQ(count(graph_, OpKind::activation), 0);
  expect_close(run(), want_);
}

TEST_F(Passes, FuseActivationsForTrainingKeepsHswishAfterAdd) {
  build(true);
  fuse_activations(graph_, Purpose::training);
  EXPECT_EQ(count(graph_, OpKind::activation), 2);
  expect_close(run(), want_);
}

TEST_F(Passes, MoveMeans) {
  build();
  fold_batch_norms(graph_, values_);
  move_means(graph_, values_);
  EXPECT_EQ(find(graph_, "expand.norm.mean").inputs[0], "temporal.norm.activation") << "the narrow tensor";
  expect_close(run(), want_);
  check(graph_);
}

/** Squeeze-excitation, then context gating. */
TEST_F(Passes, TwoGatesNeedOneMean) {
  test::GraphBuilder g(random_, {1, 3, 5, 4, 3});
  const std::string expand = g.conv("expand", "normalized", {1, 1, 1}, {1, 1, 1}, 3, 12, true);
  const std::string squeezed = g.gate(expand, g.conv("squeeze", g.mean(expand), {1, 1, 1}, {1, 1, 1}, 12, 12, true));
  const std::string gated = g.gate(squeezed, g.conv("context", g.mean(squeezed), {1, 1, 1}, {1, 1, 1}, 12, 12, true));
  graph_ = g.build(g.dense(g.mean(g.activation(gated, Function::relu)), 12, 4));
  values_ = g.parameters();
  clips_ = test::random_clips(random_, graph_, 2);
  want_ = test::run_graph(graph_, values_, clips_, 2);
  move_means(graph_, values_);
  EXPECT_EQ(count(graph_, OpKind::mean), 2) << "one of the narrow tensor, one in the head";
  expect_close(run(), want_);
  compose_convolutions(graph_, values_);
  EXPECT_EQ(find(graph_, "squeeze").inputs[0], find(graph_, "expand").name + ".mean/expand") << "of three channels instead of twelve";
  EXPECT_EQ(graph_.parameters.count("squeeze.weight"), 0u);
  expect_close(run(), want_);
  fuse_gates(graph_);
  EXPECT_EQ(count(graph_, OpKind::gate), 1) << "the product of both scales; the mean's went into its convolution";
  expect_close(run(), want_);
  fuse_for_inference(graph_, values_);
  EXPECT_EQ(count(graph_, OpKind::activation), 2) << "sigmoids of one vector, for the mean and for the tensor";
  EXPECT_EQ(find(graph_, "expand").output, "expand.gated.gated.activation");
  expect_close(run(), want_);
  check(graph_);
}

TEST_F(Passes, FuseShortcuts) {
  build();
  fold_batch_norms(graph_, values_);
  move_means(graph_, values_);
  fuse_gates(graph_);
  fuse_shortcuts(graph_);
  EXPECT_EQ(find(graph_, "expand").inputs,
            (std::vector<std::string>{"temporal.norm.activation", "", "expand.norm.gated.scale", "normalized"}));
  EXPECT_EQ(count(graph_, OpKind::add), 1) << "a depthwise layer takes no shortcut";
  expect_close(run(), want_);
  check(graph_);
}

TEST_F(Passes, AllOfInference) {
  for (const bool smooth : {false, true}) {
    build(smooth);
    fuse_for_inference(graph_, values_);
    for (const OpKind kind : {OpKind::activation, OpKind::gate, OpKind::add, OpKind::batch_norm})
      EXPECT_EQ(count(graph_, kind), 0) << row(kind).kind;
    expect_close(run(), want_);
    check(graph_);
  }
}

TEST_F(Passes, FuseResidualsLeavesAConvolutionThatOthersRead) {
  test::GraphBuilder g(random_, {1, 2, 5, 5, 3});
  const std::string conv = g.conv("conv", "normalized", {1, 1, 1}, {1, 1, 1}, 3, 4);
  const std::string sum = g.add("sum", conv, g.activation(conv, Function::relu));
  graph_ = g.build(g.dense(g.mean(sum), 4, 2));
  fuse_residuals(graph_);
  EXPECT_EQ(count(graph_, OpKind::add), 1);
}

}  // namespace
}  // namespace tvn
