#include "runtime/cpu_trainer.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"
#include "test/graphs.h"
#include "test/run_graph.h"

namespace tvn {
namespace {

constexpr TrainerOptions plain{1, Isa::reference, Task::single_label, 0.1f, 0, 0.9f, true, 1e-3f, 1};

/** Tensors read several times, by layers that add to a gradient and by layers that cannot: an x + x, one map as theta, phi and g. */
Graph tangled(test::GraphBuilder& g) {
  const std::string conv = g.norm(g.conv("conv", "normalized", {1, 1, 1}, {1, 1, 1}, 3, 6), 6);
  const std::string smooth = g.activation(conv, Function::hswish);
  const std::string doubled = g.add("doubled", smooth, smooth);
  const std::string attention = g.op(OpKind::attention, "attention", {doubled, doubled, doubled}).output;
  const std::string sum = g.add("sum", attention, smooth);
  const std::string gated = g.gate(sum, g.mean(sum));
  const std::string mean = g.mean(gated);
  return g.build(g.dense(g.add("logits.sum", mean, mean), 6, 4));
}

Graph blocks(test::GraphBuilder& g) { return g.build(block_network(g, true)); }

/** With momentum 0 and a rate of 0 a step changes no weight: the loss as a function of the weights. */
double loss_of(const Graph& graph, const std::map<std::string, std::vector<float>>& values, const std::vector<uint8_t>& clips,
               const std::vector<int32_t>& labels) {
  ParameterValues views;
  for (const auto& [name, value] : values) views.borrow(name, value);
  CpuTrainer trainer(graph, views, plain);
  std::vector<float> logits(labels.size() * static_cast<size_t>(trainer.classes()));
  return trainer.step(clips.data(), static_cast<int64_t>(labels.size()), labels.data(), 0, logits.data()).loss;
}

TEST(Trainer, GradientsAgreeWithFiniteDifferencesOfTheWholeNetwork) {
  for (Graph (*make)(test::GraphBuilder&) : {tangled, blocks}) {
    test::Random random;
    test::GraphBuilder builder(random, {1, 3, 6, 5, 3});
    const Graph graph = make(builder);
    const auto clips = test::random_clips(random, graph, 4);
    const std::vector<int32_t> labels = {0, 1, 2, 3};
    CpuTrainer trainer(graph, builder.parameters(), plain);
    std::vector<float> logits(4 * static_cast<size_t>(trainer.classes()));
    trainer.step(clips.data(), 4, labels.data(), 0, logits.data());
    for (size_t p = 0; p < trainer.parameters().size(); p++) {
      const ParameterInfo& parameter = trainer.parameters()[p];
      if (!parameter.trainable) continue;
      // along a random direction, in f32: a coarse step, compared on the scale of the gradient's length
      auto moved = builder.values();
      std::vector<float> direction(static_cast<size_t>(parameter.size));
      random.fill<float>(direction);
      const float step = 1e-2f / std::sqrt(static_cast<float>(parameter.size));
      double expected = 0, length = 0;
      for (size_t i = 0; i < direction.size(); i++) {
        expected += static_cast<double>(direction[i]) * trainer.gradient(p)[i];
        length += std::fabs(static_cast<double>(direction[i]) * trainer.gradient(p)[i]);
        moved[parameter.name][i] += step * direction[i];
      }
      const double above = loss_of(graph, moved, clips, labels);
      for (size_t i = 0; i < direction.size(); i++) moved[parameter.name][i] -= 2 * step * direction[i];
      const double below = loss_of(graph, moved, clips, labels);
      EXPECT_NEAR((above - below) / (2 * step), expected, 2e-2 * length + 2e-3) << parameter.name;
    }
  }
}

TEST(Trainer, IsBitIdenticalForAnyNumberOfThreadsAndAfterAnotherBatchSize) {
  test::Random random;
  test::GraphBuilder builder(random, {1, 4, 9, 7, 3});
  const Graph graph = builder.build(block_network(builder));
  const auto clips = test::random_clips(random, graph, 5);
  const std::vector<int32_t> labels = {0, 1, 2, 3, 4};
  std::vector<std::vector<float>> first;
  for (const int threads : {1, 2, 3}) {
    TrainerOptions options = plain;
    options.threads = threads;
    options.isa = allowed_isa();
    options.dropout = 0.5f;
    CpuTrainer trainer(graph, builder.parameters(), options);
    std::vector<float> logits(25);
    std::vector<std::vector<float>> seen;
    for (const int64_t batch : {5, 3, 5}) {
      const double loss = trainer.step(clips.data(), batch, labels.data(), 0.05f, logits.data()).loss;
      EXPECT_TRUE(std::isfinite(loss));
      seen.push_back({static_cast<float>(loss)});
    }
    for (size_t p = 0; p < trainer.parameters().size(); p++) seen.emplace_back(trainer.value(p).begin(), trainer.value(p).end());
    if (first.empty()) first = seen;
    EXPECT_EQ(seen, first) << threads << " threads";
  }
}

TEST(Trainer, LearnsLabelsByHeart) {
  test::Random random;
  test::GraphBuilder builder(random, {1, 4, 9, 7, 3});
  const Graph graph = builder.build(block_network(builder));
  const auto clips = test::random_clips(random, graph, 5);
  const std::vector<int32_t> labels = {4, 2, 0, 1, 3};
  TrainerOptions options = plain;
  options.isa = allowed_isa();
  options.label_smoothing = 0;
  CpuTrainer trainer(graph, builder.parameters(), options);
  std::vector<float> logits(25);
  const double before = trainer.step(clips.data(), 5, labels.data(), 0.05f, logits.data()).loss;
  double after = before;
  for (int i = 0; i < 60; i++) after = trainer.step(clips.data(), 5, labels.data(), 0.05f, logits.data()).loss;
  EXPECT_LT(after, 0.05 * before);
}

TEST(Trainer, DecaysWeightsOnly) {
  test::Random random;
  test::GraphBuilder builder(random, {1, 2, 5, 5, 3});
  const Graph graph = builder.build(block_network(builder));
  const auto clips = test::random_clips(random, graph, 2);
  const std::vector<int32_t> labels = {0, 1};
  TrainerOptions options = plain;
  options.momentum = 0;
  options.weight_decay = 0.5f;
  CpuTrainer trainer(graph, builder.parameters(), options);
  std::vector<float> logits(10);
  trainer.step(clips.data(), 2, labels.data(), 0.1f, logits.data());
  for (size_t p = 0; p < trainer.parameters().size(); p++) {
    const ParameterInfo& parameter = trainer.parameters()[p];
    if (!parameter.trainable) continue;
    const float decay = parameter.name.ends_with(".weight") ? 0.5f : 0.0f;
    const std::vector<float>& before = builder.values()[parameter.name];
    for (size_t i = 0; i < before.size(); i++)
      ASSERT_NEAR(trainer.value(p)[i], before[i] - 0.1f * (trainer.gradient(p)[i] + decay * before[i]), 1e-6) << parameter.name;
  }
}

}  // namespace
}  // namespace tvn
