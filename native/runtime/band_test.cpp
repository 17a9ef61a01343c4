#include "runtime/band.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "runtime/cpu_plan.h"
#include "test/graphs.h"
#include "test/run_graph.h"
#include "test/run_plan.h"

namespace tvn {
namespace {

/** Every kind of layer that has rows, with and without a halo, strides below and above the kernel, odd heights. */
std::string rows_network(test::GraphBuilder& g) {
  const Function f = Function::relu;
  const auto conv = [&](const std::string& name, const std::string& x, int k, int s, int64_t channels, int64_t outputs) {
    return g.activation(g.norm(g.conv(name, x, {1, k, k}, {1, s, s}, channels, outputs), outputs), f);
  };
  const auto pool = [&](const std::string& name, const std::string& x, Pooling pooling, int k, int s) {
    Op& op = g.op(OpKind::pool, name, {x});
    op.attributes.pooling = pooling;
    op.attributes.kernel = {1, k, k};
    op.attributes.stride = {1, s, s};
    return name;
  };
  // normalize ⇒ conv ⇒ pool ⇒ Winograd
  const std::string a = conv("winograd", pool("max", conv("first", "normalized", 1, 1, 3, 40), Pooling::max, 3, 1), 4, 1, 40, 72);
  // conv ⇒ depthwise ⇒ conv ⇒ depthwise, whose stride steps over rows
  const std::string b =
      g.depthwise("step", conv("b", g.depthwise("b.depthwise", conv("narrow", a, 1, 1, 72, 24), 5, 1, 24), 1, 1, 24, 20), 3, 4, 20);
  // gate and shortcut ⇒ conv ⇒ average
  const std::string expand = g.norm(g.conv("expand", b, {1, 1, 1}, {1, 1, 1}, 20, 48), 48);
  const std::string gated = g.gate(expand, g.conv("gate", g.mean(expand), {1, 1, 1}, {1, 1, 1}, 48, 48, true));
  const std::string sum = g.activation(g.add("sum", gated, g.norm(g.conv("shortcut", a, {1, 1, 1}, {1, 4, 4}, 72, 48), 48)), f);
  const std::string c = pool("average", conv("after", sum, 3, 1, 48, 33), Pooling::avg, 2, 1);
  return g.dense(g.mean(c), 33, 5);
}

size_t count_bands(const Plan& plan, const std::string& arrow = "⇒") {
  return static_cast<size_t>(std::count_if(plan.stages().begin(), plan.stages().end(),
                                           [&](const Stage& stage) { return stage.name.find(arrow) != std::string::npos; }));
}

TEST(Band, HasTheBitsOfWholeLayers) {
  test::Random random;
  std::set<std::string> seen;
  std::vector<Precision> precisions = {Precision::f32};
  if (allowed_isa() >= Isa::avx512_bf16) precisions.push_back(Precision::bf16);
  for (const Shape& clip : {Shape{1, 3, 61, 47, 3}, Shape{1, 1, 40, 70, 3}, Shape{1, 2, 9, 5, 3}}) {
    test::GraphBuilder builder(random, clip);
    const Graph graph = builder.build(rows_network(builder));
    for (const int64_t batch : {1, 2}) {
      const auto clips = test::random_clips(random, graph, batch);
      const auto run = [&](Plan& plan) {
        const auto first = test::run_plan(plan, clips);
        EXPECT_EQ(test::run_plan(plan, clips), first) << "a second run finds the buffers as the first left them";
        return first;
      };
      for (const Precision precision : precisions) {
        CpuPlan whole(graph, builder.parameters(), {batch, 1, allowed_isa(), precision, all_passes, no_bands});
        EXPECT_EQ(count_bands(whole), 0u);
        const auto want = run(whole);
        for (const size_t kib : {1, 7, 24, 60, 200})
          for (const int threads : {1, 2, 5}) {
            SCOPED_TRACE(testing::Message() << clip.h << " rows, batch " << batch << ", " << kib << " KiB, " << threads << " threads");
            CpuPlan plan(graph, builder.parameters(), {batch, threads, allowed_isa(), precision, all_passes, {0, kib << 10}});
            EXPECT_EQ(run(plan), want);
            for (const Stage& stage : plan.stages()) seen.insert(stage.name + ": " + stage.kernel);
          }
      }
    }
  }
  const auto ran = [&](const char* band) {
    return std::any_of(seen.begin(), seen.end(), [&](const std::string& stage) { return stage.find(band) != std::string::npos; });
  };
  for (const char* band : {"normalized ⇒ first ⇒ max ⇒ winograd", "narrow ⇒ b.depthwise ⇒ b ⇒ step", "expand ⇒ after ⇒ average"})
    EXPECT_TRUE(ran(band)) << band;
  if (allowed_isa() >= Isa::avx2) EXPECT_TRUE(ran("⇒ conv_forward_f32_winograd")) << "Winograd in a band";
}

TEST(Band, SparesTheTensorsBetweenItsLayers) {
  test::Random random;
  test::GraphBuilder builder(random, {1, 2, 120, 120, 3});
  const Graph graph = builder.build(rows_network(builder));
  CpuPlan whole(graph, builder.parameters(), {1, 1, allowed_isa(), Precision::f32, all_passes, no_bands});
  CpuPlan banded(graph, builder.parameters(), {1, 1, allowed_isa(), Precision::f32, all_passes, {64 << 10, 900 << 10}});
  EXPECT_EQ(banded.stages().front().name, "normalized ⇒ first ⇒ max ⇒ winograd");
  EXPECT_LT(4 * banded.layout().arena().size(), 3 * whole.layout().arena().size());
}

TEST(Band, LeavesSmallTensorsAlone) {
  test::Random random;
  test::GraphBuilder builder(random, {1, 2, 24, 24, 3});
  const Graph graph = builder.build(rows_network(builder));
  const CpuPlan plan(graph, builder.parameters(), {1, 1, allowed_isa()});
  EXPECT_EQ(count_bands(plan), 0u);
}

}  // namespace
}  // namespace tvn
