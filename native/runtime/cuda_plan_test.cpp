// What crosses to the CUDA backend and comes back, with a backend that computes nothing; real ones are tested through JavaScript.
#include "runtime/cuda_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "core/error.h"
#include "runtime/cpu_plan.h"
#include "runtime/cuda_trainer.h"
#include "test/graphs.h"
#include "test/run_graph.h"

namespace tvn {
namespace {

/** What the backend was told, and what it is to answer. */
struct Fake {
  std::vector<TvnCudaNode> nodes;
  std::vector<TvnCudaTensor> tensors;
  std::vector<std::string> parameters;
  std::string known;
  double seconds = 0;
  int64_t batch = 0;
  float dropout = 0;
  TvnCudaError error = {};
  int plans = 0, trainers = 0;
} fake;

void see(const TvnCudaProgram& program) {
  fake.nodes.assign(program.node, program.node + program.nodes);
  fake.tensors.assign(program.tensor, program.tensor + program.tensors);
  fake.parameters.clear();
  for (int32_t i = 0; i < program.parameters; i++) fake.parameters.push_back(program.parameter[i].name);
}

int32_t answer(TvnCudaError* error) {
  if (!fake.error.code[0]) return 0;
  *error = fake.error;
  return 1;
}

void fail_with(const char* code, const char* message) {
  std::strcpy(fake.error.code, code);
  std::strcpy(fake.error.message, message);
}

TvnCudaBackend make_backend() {
  TvnCudaBackend table{};
  table.plan_create = [](const TvnCudaProgram* program, const TvnCudaPlanOptions* options, TvnCudaPlan** plan, TvnCudaError* error) {
    see(*program);
    fake.known = options->known_choices;
    fake.seconds = options->tuning_seconds;
    fake.batch = options->batch;
    if (answer(error)) return 1;
    fake.plans++;
    *plan = reinterpret_cast<TvnCudaPlan*>(&fake);
    return 0;
  };
  table.plan_run = [](TvnCudaPlan*, const uint8_t* clips, float* logits, double* device_ms, TvnCudaError* error) {
    logits[0] = clips[0];
    if (device_ms) *device_ms = 0.25;
    return answer(error);
  };
  table.plan_profile = [](TvnCudaPlan*, const uint8_t*, double* stage_ms, TvnCudaError* error) {
    stage_ms[0] = 7;
    return answer(error);
  };
  // the first two nodes as one kernel, each other one alone
  table.plan_stages = [](const TvnCudaPlan*, TvnCudaStageVisitor visit, void* context) {
    for (int32_t i = 0, count = 2; i < static_cast<int32_t>(fake.nodes.size()); i += count, count = 1) {
      const int32_t nodes[] = {i, i + 1};
      const TvnCudaStage stage{nodes, count, "some_kernel", i == 0 ? "smaller blocks" : "", 100 + i, 1000 + i};
      visit(context, &stage);
    }
  };
  table.plan_choices = [](const TvnCudaPlan*, TvnCudaTextVisitor visit, void* context) { visit(context, "GPU | a\tx\nGPU | b\ty\n"); };
  table.plan_memory = [](const TvnCudaPlan*, TvnCudaMemory* memory) { *memory = {1, 2, 3, 4}; };
  table.plan_destroy = [](TvnCudaPlan* plan) {
    if (plan) fake.plans--;
  };
  table.trainer_create = [](const TvnCudaProgram* program, const TvnCudaTrainerOptions* options, TvnCudaTrainer** trainer,
                            TvnCudaError* error) {
    see(*program);
    fake.dropout = options->dropout;
    if (answer(error)) return 1;
    fake.trainers++;
    *trainer = reinterpret_cast<TvnCudaTrainer*>(&fake);
    return 0;
  };
  table.trainer_step = [](TvnCudaTrainer*, const uint8_t*, int64_t, const int32_t*, float, float*, TvnCudaStepResult* result,
                          TvnCudaError* error) {
    *result = {1.5, 1024, 1, 3};
    return answer(error);
  };
  table.trainer_read = [](TvnCudaTrainer*, int32_t parameter, int32_t gradient, float* to, TvnCudaError* error) {
    to[0] = static_cast<float>(10 * parameter + gradient);
    return answer(error);
  };
  table.trainer_destroy = [](TvnCudaTrainer* trainer) {
    if (trainer) fake.trainers--;
  };
  return table;
}

class CudaPlanTest : public testing::Test {
 protected:
  CudaPlanTest() : builder_(random_, {1, 4, 9, 7, 3}), graph_(builder_.build(block_network(builder_))), values_(builder_.parameters()) {
    fake = {};
  }

  /** The code and message that an error of the backend comes back as. */
  std::pair<std::string, std::string> failure(const char* code, const char* message) {
    fail_with(code, message);
    try {
      CudaPlan(backend_, graph_, values_, {0, 1});
    } catch (const Error& error) {
      return {error.code(), error.what()};
    }
    return {};
  }

  const TvnCudaBackend backend_ = make_backend();
  test::Random random_;
  test::GraphBuilder builder_;
  Graph graph_;
  ParameterValues values_;
};

TEST_F(CudaPlanTest, HandsOverTheNetworkAfterTheCpusPasses) {
  const CudaPlan plan(backend_, graph_, values_, {0, 3, all_passes, {{{"known", "way"}, {"broken\n", "way"}}, 0.5}});
  EXPECT_EQ(fake.known, "known\tway\n");
  EXPECT_EQ(fake.seconds, 0.5);
  EXPECT_EQ(fake.batch, 3);
  Graph fused = graph_;
  ParameterValues values = values_;
  fuse_for_inference(fused, values);
  const Program program = check(fused);
  ASSERT_EQ(fake.nodes.size(), program.nodes.size());
  ASSERT_EQ(fake.tensors.size(), program.tensors.size());
  ASSERT_EQ(fake.parameters.size(), program.parameters.size());
  for (size_t i = 0; i < program.nodes.size(); i++) {
    const Node& node = program.nodes[i];
    const TvnCudaNode& got = fake.nodes[i];
    EXPECT_EQ(got.kind, static_cast<int32_t>(node.kind)) << node.name;
    EXPECT_EQ(got.output, node.output) << node.name;
    for (size_t slot = 0; slot < 4; slot++) {
      EXPECT_EQ(got.inputs[slot], slot < node.inputs.size() ? node.inputs[slot] : -1) << node.name;
      EXPECT_EQ(got.parameters[slot], slot < node.parameters.size() ? node.parameters[slot] : -1) << node.name;
    }
    EXPECT_EQ(got.kernel[1], node.window.kh) << node.name;
    EXPECT_EQ(got.stride[2], node.window.sw) << node.name;
    EXPECT_EQ(got.pad[0], node.window.pt) << node.name;
    EXPECT_EQ(got.function, static_cast<int32_t>(node.attributes.function)) << node.name;
    EXPECT_EQ(got.shortcut_stride[1], node.attributes.shortcut_stride.h) << node.name;
  }
  for (size_t i = 0; i < program.tensors.size(); i++) EXPECT_EQ(fake.tensors[i].c, program.tensors[i].shape.c);
}

TEST_F(CudaPlanTest, DescribesItsStagesLikeThoseOfACpu) {
  const CudaPlan plan(backend_, graph_, values_, {0, 2});
  const CpuPlan cpu(graph_, values_, {2, 1, Isa::reference, Precision::f32, all_passes, no_bands});
  EXPECT_EQ(plan.clip_bytes(), cpu.clip_bytes());
  EXPECT_EQ(plan.logits_size(), cpu.logits_size());
  ASSERT_EQ(plan.stages().size() + 1, cpu.stages().size());
  EXPECT_EQ(plan.stages()[0].name, cpu.stages()[0].name + " ⇒ " + cpu.stages()[1].name);
  EXPECT_EQ(plan.stages()[0].shape, cpu.stages()[0].shape + " ⇒ " + cpu.stages()[1].shape);
  EXPECT_EQ(plan.stages()[0].cut, "smaller blocks");
  for (size_t i = 1; i < plan.stages().size(); i++) {
    const Stage &got = plan.stages()[i], &want = cpu.stages()[i + 1];
    EXPECT_EQ(got.name, want.name);
    EXPECT_EQ(got.ops, want.ops) << got.name;
    EXPECT_EQ(got.kind, want.kind) << got.name;
    EXPECT_EQ(got.shape, want.shape) << got.name;
    EXPECT_EQ(got.kernel, "some_kernel");
    EXPECT_EQ(got.macs, 101 + static_cast<int64_t>(i)) << "the backend's figure";
    EXPECT_EQ(got.bytes, 1001 + static_cast<int64_t>(i));
  }
  EXPECT_EQ(plan.choices(), (Choices{{"GPU | a", "x"}, {"GPU | b", "y"}}));
  const PlanMemory memory = plan.memory();
  EXPECT_EQ((std::vector<size_t>{memory.weights, memory.arena, memory.activations, memory.scratch}), (std::vector<size_t>{1, 2, 3, 4}));
}

TEST_F(CudaPlanTest, MeasuresByTheHostsClockAndTheDevices) {
  CudaPlan plan(backend_, graph_, values_, {0, 1});
  const auto clips = test::random_clips(random_, graph_, 3);
  const RunTimes times = plan.measure({5, clips, false, -1});
  ASSERT_EQ(times.host.size(), 5u);
  EXPECT_EQ(times.device, std::vector<double>(5, 0.25));
  EXPECT_THROW(plan.measure({1, clips, true, -1}), Error) << "a GPU's caches cannot be emptied";
}

TEST_F(CudaPlanTest, TurnsTheBackendsErrorsIntoOurs) {
  for (const char* code : {"ERR_MEMORY", "ERR_DEVICE", "ERR_DEVICE_LOST", "ERR_GRAPH_INVALID"})
    EXPECT_EQ(failure(code, "why"), (std::pair<std::string, std::string>(code, "why")));
  EXPECT_EQ(failure("ERR_NATIVE", "why").first, "ERR_NATIVE");
  EXPECT_EQ(failure("ERR_SOMETHING", "why").first, "ERR_NATIVE");
  fake = {};
  {
    CudaPlan plan(backend_, graph_, values_, {0, 1});
    EXPECT_EQ(fake.plans, 1);
    std::vector<float> logits(static_cast<size_t>(plan.logits_size()));
    std::vector<double> ms(plan.stages().size());
    const auto clips = test::random_clips(random_, graph_, 1);
    fail_with("ERR_DEVICE_LOST", "gone");
    EXPECT_THROW(plan.run(clips.data(), logits.data()), Error);
    EXPECT_THROW(plan.profile(clips.data(), ms.data()), Error);
    EXPECT_THROW(plan.measure({1, clips, false, -1}), Error);
  }
  EXPECT_EQ(fake.plans, 0);
}

TEST_F(CudaPlanTest, Trains) {
  const TrainerOptions options{1, Isa::reference, Task::single_label, 0.1f, 0.3f, 0.9f, true, 1e-3f, 1};
  {
    CudaTrainer trainer(backend_, 0, graph_, values_, options);
    EXPECT_EQ(fake.trainers, 1);
    EXPECT_FLOAT_EQ(fake.dropout, 0.3f);
    EXPECT_TRUE(std::any_of(fake.nodes.begin(), fake.nodes.end(), [](const TvnCudaNode& node) {
      return node.kind == static_cast<int32_t>(OpKind::batch_norm);
    })) << "norms are not folded in training";
    EXPECT_EQ(trainer.classes(), 5);
    const StepResult result = trainer.step(nullptr, 1, nullptr, 0.1f, nullptr);
    EXPECT_EQ(result.loss, 1.5);
    EXPECT_TRUE(result.skipped);
    EXPECT_EQ(result.loss_scale, 1024);
    float value = 0;
    trainer.read(2, true, &value);
    EXPECT_EQ(value, 21);
    fail_with("ERR_DEVICE_LOST", "gone");
    EXPECT_THROW(trainer.step(nullptr, 1, nullptr, 0.1f, nullptr), Error);
    EXPECT_THROW(trainer.read(0, false, &value), Error);
  }
  EXPECT_EQ(fake.trainers, 0);
  EXPECT_THROW(CudaTrainer(backend_, 0, graph_, values_, options), Error);
}

TEST(CudaBackend, SaysWhyThereIsNone) {
  EXPECT_EQ(load_cuda_backend("off").absence, CudaAbsence::off);
  EXPECT_EQ(load_cuda_backend("perhaps").absence, CudaAbsence::bad_setting);
  for (const char* setting : {"auto", "on", "emulated"}) {  // beside this program lies no backend
    const CudaDevices none = cuda_devices(setting);
    EXPECT_EQ(none.absence, CudaAbsence::not_built) << setting;
    EXPECT_NE(none.reason.find("is not built"), std::string::npos) << none.reason;
    try {
      require_cuda(setting, 0);
      ADD_FAILURE() << "there is a backend";
    } catch (const Error& error) {
      EXPECT_STREQ(error.code(), "ERR_DEVICE");
    }
  }
}

}  // namespace
}  // namespace tvn
