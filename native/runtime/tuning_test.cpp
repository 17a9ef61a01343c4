#include "runtime/tuning.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "runtime/cpu_plan.h"
#include "test/graphs.h"
#include "test/run_graph.h"
#include "test/run_plan.h"

namespace tvn {
namespace {

using namespace std::chrono_literals;

/** Choices with so many seconds for each way, which `disturb` may change from run to run. */
template <class Disturb>
std::optional<size_t> fastest_of(const std::vector<double>& seconds, std::vector<int>& runs, const Disturb& disturb,
                                 Clock::time_point enough = Clock::now() + 1h, Clock::time_point end = Clock::now() + 1h) {
  runs.assign(seconds.size(), 0);
  return fastest(
      seconds.size(),
      [&](size_t way, int times) {
        runs[way] += times;
        return disturb(seconds[way], runs[way]) * times;
      },
      enough, end);
}
double undisturbed(double seconds, int) { return seconds; }

TEST(Fastest, IsTheUsualWayUnlessAnotherIsClearlyFaster) {
  std::vector<int> runs;
  EXPECT_EQ(fastest_of({1, 0.98, 1.2}, runs, undisturbed), 0u);
  EXPECT_EQ(fastest_of({1, 0.96, 0.9}, runs, undisturbed), 2u);
  EXPECT_EQ(fastest_of({1, 0.96, 1.2}, runs, undisturbed), 1u);
}

TEST(Fastest, TriesWhatIsSlowTwiceAndWhatIsShortOften) {
  std::vector<int> runs;
  fastest_of({1, 0.99, 1.5}, runs, undisturbed);
  EXPECT_EQ(runs[2], 2);
  EXPECT_EQ(runs[1], most_rounds);
  fastest_of({1e-6, 1.5e-6}, runs, undisturbed);
  EXPECT_EQ(runs[1], 400) << "200 make up the least time";
}

TEST(Fastest, IsNotMisledByWhatDisturbsSomeRuns) {
  std::vector<int> runs;
  const auto twice_as_long = [](double seconds, int run) { return run % 2 == 1 ? 2 * seconds : seconds; };
  EXPECT_EQ(fastest_of({1, 0.9}, runs, twice_as_long), 1u);
  EXPECT_EQ(fastest_of({0.9, 0.9}, runs, twice_as_long), 0u);
}

TEST(Fastest, HasToBeFasterTwice) {
  std::vector<int> runs;
  const auto once_faster = [](double seconds, int run) { return run <= most_rounds ? seconds : 1.0; };
  EXPECT_EQ(fastest_of({1, 0.9}, runs, once_faster), 0u);
}

TEST(Fastest, StopsInTime) {
  std::vector<int> runs;
  EXPECT_EQ(fastest_of({1, 0.5}, runs, undisturbed, Clock::now(), Clock::now() + 1h), 1u);
  EXPECT_EQ(runs[1], 2 + confirmations) << "two rounds are enough";
  EXPECT_EQ(fastest_of({1, 0.5}, runs, undisturbed, Clock::now(), Clock::now() + 3s), std::nullopt);
  EXPECT_EQ(runs[1], 0) << "no time for two rounds";
}

class TuningTest : public testing::Test {
 protected:
  TuningTest() : builder_(random_, {1, 2, 96, 80, 3}) {
    auto& g = builder_;
    const auto conv = [&](const std::string& name, const std::string& x, int k, int s, int64_t from, int64_t to) {
      return g.activation(g.norm(g.conv(name, x, {1, k, k}, {1, s, s}, from, to), to), Function::relu);
    };
    const std::string wide = conv("wide", conv("first", "normalized", 3, 2, 3, 64), 1, 1, 64, 128);
    const std::string small = conv("small", g.depthwise("depthwise", wide, 3, 2, 128), 4, 1, 128, 64);
    const std::string strassen = conv("strassen", small, 1, 2, 64, 640);
    graph_ = g.build(g.dense(g.mean(conv("last", conv("middle", strassen, 1, 1, 640, 640), 1, 1, 640, 96)), 96, 5));
  }

  CpuPlan plan(const Tuning& tuning, int threads = 1, int64_t batch = 1) const {
    return CpuPlan(graph_, builder_.parameters(), {batch, threads, allowed_isa(), Precision::f32, all_passes, {0, 300 << 10}, tuning});
  }

  test::Random random_;
  test::GraphBuilder builder_;
  Graph graph_;
};

TEST_F(TuningTest, EveryWayHasTheSameBits) {
  const auto clips = test::random_clips(random_, graph_, 1);
  CpuPlan usual = plan({});
  EXPECT_TRUE(usual.choices().empty());
  const auto want = test::run_plan(usual, clips);
  std::set<std::string> cuts;
  for (const int threads : {1, 2})
    for (const char* way :
         {"apart", "half the rows", "twice the rows", "panels of 2", "smaller blocks", "larger blocks", "output not fetched", "nonsense"}) {
      SCOPED_TRACE(testing::Message() << way << ", " << threads << " threads");
      Tuning tuning;
      for (int round = 0; round < 2; round++) {  // what the first cuts apart has ways of its own
        const CpuPlan so_far = plan(tuning, threads);
        for (const Stage& stage : so_far.stages()) tuning.known.try_emplace(stage.key, way);
      }
      CpuPlan other = plan(tuning, threads);
      EXPECT_EQ(test::run_plan(other, clips), want);
      for (const Stage& stage : other.stages()) cuts.insert(stage.cut);
    }
  EXPECT_FALSE(cuts.contains("nonsense"));
  if (allowed_isa() < Isa::avx2) return;  // the reference kernels have one way
  for (const char* way : {"half the rows", "twice the rows", "panels of 2", "smaller blocks", "larger blocks", "output not fetched"})
    EXPECT_TRUE(cuts.contains(way)) << way;
}

TEST_F(TuningTest, RemembersWhatItFound) {
  const auto clips = test::random_clips(random_, graph_, 1);
  CpuPlan usual = plan({}), searched = plan({{}, 0.3});
  EXPECT_EQ(test::run_plan(searched, clips), test::run_plan(usual, clips));
  EXPECT_FALSE(searched.choices().empty());
  const CpuPlan again = plan({searched.choices(), 0});
  EXPECT_EQ(again.choices(), searched.choices());
  for (size_t i = 0; i < again.stages().size(); i++) EXPECT_EQ(again.stages()[i].cut, searched.stages()[i].cut);
}

TEST_F(TuningTest, DoesNotTryWhatIsKnown) {
  const CpuPlan usual = plan({});
  Choices known;
  for (const Stage& stage : usual.stages()) known[stage.key] = "usual";
  const auto begin = Clock::now();
  const CpuPlan again = plan({known, 3600});
  EXPECT_LT(seconds_since(begin), 60);
  for (const auto& [key, way] : again.choices()) EXPECT_EQ(way, "usual") << key;
}

TEST_F(TuningTest, ChoicesHoldForAnyBatch) {
  const CpuPlan one = plan({});
  Choices known;
  for (const Stage& stage : one.stages()) known[stage.key] = "apart";
  const CpuPlan one_apart = plan({known, 0}), three_apart = plan({known, 0}, 1, 3);
  ASSERT_EQ(one_apart.stages().size(), three_apart.stages().size());
  EXPECT_GT(one_apart.stages().size(), one.stages().size());
}

TEST_F(TuningTest, AChoiceIsForItsStepAlone) {
  const CpuPlan usual = plan({});
  for (const Stage& stage : usual.stages()) {
    const bool band = stage.key.find("⇒") != std::string::npos;
    const CpuPlan other = plan({{{stage.key, band ? "half the rows" : "smaller blocks"}}, 0});
    for (const Stage& seen : other.stages()) EXPECT_TRUE(seen.cut.empty() || seen.key == stage.key) << seen.key << " for " << stage.key;
    const CpuPlan two_threads = plan({{{stage.key, "smaller blocks"}}, 0}, 2);
    for (const Stage& seen : two_threads.stages()) EXPECT_EQ(seen.cut, "") << seen.key;
  }
}

TEST_F(TuningTest, WhatThereWasNoTimeForIsNotKnown) {
  EXPECT_TRUE(plan({{}, 1e-9}).choices().empty());
  const CpuPlan searched = plan({{}, 10});
  size_t bands = 0;
  for (const Stage& stage : searched.stages()) bands += stage.key.find("⇒") != std::string::npos;
  if (allowed_isa() < Isa::avx2) return;  // the reference kernels have one way
  EXPECT_GE(searched.choices().size(), std::max<size_t>(bands, 3));
}

TEST_F(TuningTest, KeepsItsTime) {
  plan({});
  const auto begin = Clock::now();
  plan({});
  const double compile = seconds_since(begin);
  const auto searched = Clock::now();
  plan({{}, 0.2});
  EXPECT_LT(seconds_since(searched), 5 * compile + 2) << "seconds";
}

}  // namespace
}  // namespace tvn
