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

TEST_F(Passes, AllOfInference) {
  for (const bool smooth : {false, true}) {
    build(smooth);
    fold_batch_norms(graph_, values_);
    fuse_activations(graph_, Purpose::inference);
    EXPECT_EQ(count(graph_, OpKind::activation), 0);
    fuse_residuals(graph_);
    EXPECT_EQ(count(graph_, OpKind::add), 0) << "both sums have a convolution to go into";
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
