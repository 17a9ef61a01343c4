#include "runtime/cpu_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "runtime/measure.h"
#include "test/graphs.h"
#include "test/run_graph.h"
#include "test/run_plan.h"

namespace tvn {
namespace {

class PlanTest : public testing::Test {
 protected:
  PlanTest() : builder_(random_, {1, 4, 9, 7, 3}), graph_(builder_.build(block_network(builder_))), values_(builder_.parameters()) {}

  test::Random random_;
  test::GraphBuilder builder_;
  Graph graph_;
  ParameterValues values_;
};

TEST_F(PlanTest, AgreesWithTheGraphRunOpByOp) {
  for (const int64_t batch : {1, 2, 5}) {
    const auto clips = test::random_clips(random_, graph_, batch);
    const auto want = test::run_graph(graph_, values_, clips, batch);
    std::vector<float> first;
    for (const int threads : {1, 2, 3}) {
      SCOPED_TRACE(testing::Message() << "batch " << batch << ", " << threads << " threads");
      CpuPlan plan(graph_, values_, {batch, threads, allowed_isa()});
      const auto got = test::run_plan(plan, clips);
      for (size_t i = 0; i < want.size(); i++) EXPECT_NEAR(got[i], want[i], 1e-4) << "logit " << i;
      EXPECT_EQ(test::run_plan(plan, clips), got) << "a second run finds the plan as the first did";
      if (first.empty()) first = got;
      EXPECT_EQ(got, first) << "bit-identical for any number of threads";
    }
  }
}

TEST_F(PlanTest, InBf16AgreesToTwoDigits) {
  if (allowed_isa() < Isa::avx512_bf16) {
    try {
      CpuPlan plan(graph_, values_, {1, 1, allowed_isa(), Precision::bf16});
      FAIL() << "accepted";
    } catch (const Error& error) {
      EXPECT_STREQ(error.code(), "ERR_PRECISION");
    }
    return;
  }
  const auto in_bf16 = [](const Plan& plan) {
    return std::count_if(plan.stages().begin(), plan.stages().end(),
                         [](const Stage& stage) { return stage.kernel.find("bf16") != std::string::npos; });
  };
  const auto clips = test::random_clips(random_, graph_, 3);
  const auto want = test::run_graph(graph_, values_, clips, 3);
  double largest = 0;
  for (const float logit : want) largest = std::fmax(largest, std::fabs(logit));
  std::vector<float> first;
  for (const int threads : {1, 2, 3}) {
    CpuPlan plan(graph_, values_, {3, threads, allowed_isa(), Precision::bf16}), f32(graph_, values_, {3, threads, allowed_isa()});
    EXPECT_GE(in_bf16(plan), 4);
    EXPECT_EQ(in_bf16(f32), 0);
    EXPECT_LT(plan.memory().weights, f32.memory().weights);
    const auto got = test::run_plan(plan, clips);
    for (size_t i = 0; i < want.size(); i++) EXPECT_NEAR(got[i], want[i], 2e-2 * largest) << "logit " << i;
    if (first.empty()) first = got;
    EXPECT_EQ(got, first) << "bit-identical for any number of threads";
    EXPECT_NE(got, test::run_plan(f32, clips));
  }
}

TEST_F(PlanTest, TakesItsParametersByValue) {
  const auto clips = test::random_clips(random_, graph_, 1);
  CpuPlan plan(graph_, values_, {1, 1, allowed_isa()});
  const auto before = test::run_plan(plan, clips);
  for (auto& [name, value] : builder_.values()) std::fill(value.begin(), value.end(), NAN);
  EXPECT_EQ(test::run_plan(plan, clips), before);
}

TEST_F(PlanTest, DescribesEveryOpOnce) {
  CpuPlan plan(graph_, values_, {3, 1, allowed_isa()});
  std::vector<std::string> ops, expected;
  int64_t macs = 0;
  for (const Stage& stage : plan.stages()) {
    ops.insert(ops.end(), stage.ops.begin(), stage.ops.end());
    if (!stage.ops.empty()) macs += stage.macs;  // else a convolution of a moved mean, which the graph did not have
    EXPECT_FALSE(stage.kernel.empty());
    for (const std::string& refused : stage.refused) {  // every kernel in front of it, with the reason
      EXPECT_FALSE(refused.starts_with(stage.kernel + ":"));
      EXPECT_EQ(refused.find("another"), std::string::npos) << refused;
    }
    EXPECT_GT(stage.bytes, 0) << stage.name;
  }
  const Program program = check(graph_);
  int64_t want = 0;
  for (const Node& node : program.nodes) want += 3 * multiply_accumulates(program, node);
  for (const Op& op : graph_.ops) expected.push_back(op.name);
  std::sort(ops.begin(), ops.end());
  std::sort(expected.begin(), expected.end());
  EXPECT_EQ(ops, expected);
  EXPECT_EQ(macs, want);
}

TEST_F(PlanTest, MeasuresAsManyRunsAsAsked) {
  CpuPlan plan(graph_, values_, {1, 2, allowed_isa()});
  const auto clips = test::random_clips(random_, graph_, 3);
  for (const bool cold : {false, true})
    for (const int core : {-1, 0}) {
      const auto ms = plan.measure({7, clips, cold, core}).host;
      ASSERT_EQ(ms.size(), 7u);
      for (const double t : ms) EXPECT_GT(t, 0);
    }
}

TEST_F(PlanTest, RefusesWhatMemoryCannotHold) {
  Graph huge = graph_;
  huge.input_shape = {1, 16, 1024, 1024, 3};
  try {
    CpuPlan plan(huge, values_, {512, 1, allowed_isa()});
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_STREQ(error.code(), "ERR_MEMORY");
  }
}

TEST(Peak, OfEveryAllowedLevel) {
  for (const Isa isa : {Isa::reference, Isa::avx2, Isa::avx512}) {
    if (isa > allowed_isa()) continue;
    EXPECT_GT(measure_peak(isa, 5), 0.1) << isa_name(isa);
  }
  if (allowed_isa() >= Isa::avx512_bf16)
    EXPECT_GT(measure_peak(Isa::avx512_bf16, 5, Precision::bf16), 0.1);
  else
    EXPECT_THROW(measure_peak(allowed_isa(), 5, Precision::bf16), Error);
}

}  // namespace
}  // namespace tvn
