#include "runtime/cuda_plan.h"

#include <optional>
#include <string_view>

#include "core/clock.h"
#include "core/error.h"
#include "core/thread_pool.h"
#include "runtime/cuda_program.h"

namespace tvn {
namespace {

/** "key\tname\n" repeated; what has such characters in it is not the backend's. */
std::string join(const Choices& choices) {
  std::string text;
  for (const auto& [key, name] : choices)
    if ((key + name).find_first_of("\t\n") == std::string::npos) text += key + '\t' + name + '\n';
  return text;
}

Choices split(std::string_view text) {
  Choices choices;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size()), tab = text.find('\t');
    if (tab < end) choices.emplace(text.substr(0, tab), text.substr(tab + 1, end - tab - 1));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return choices;
}

}  // namespace

CudaPlan::CudaPlan(const TvnCudaBackend& backend, Graph graph, ParameterValues values, const CudaPlanOptions& options)
    : backend_(backend), plan_(nullptr, backend.plan_destroy) {
  check(graph);  // the passes rely on a legal graph
  Graph fused = graph;
  fuse_for_inference(fused, values, options.passes);
  const Program program = check(fused);
  clip_bytes_ = options.batch * program.shape(program.input).size();
  logits_size_ = options.batch * program.shape(program.output).size();
  const std::string known = join(options.tuning.known);
  const TvnCudaPlanOptions how{options.device, options.batch, known.c_str(), options.tuning.seconds};
  TvnCudaPlan* plan = nullptr;
  call_cuda(backend.plan_create, &CudaProgram(program, values).table(), &how, &plan);
  plan_ = {plan, backend.plan_destroy};

  struct Describing {
    const Program& program;
    int64_t batch;
    std::vector<Stage>& stages;
  } describing{program, options.batch, stages_};
  backend.plan_stages(
      plan_.get(),
      [](void* context, const TvnCudaStage* from) {
        auto& [in, batch, stages] = *static_cast<Describing*>(context);
        Stage stage = describe_nodes(in, {from->nodes, static_cast<size_t>(from->node_count)}, batch);
        stage.kernel = from->kernel;
        stage.cut = from->cut;
        stage.macs = from->macs;
        stage.bytes = from->bytes;
        stages.push_back(std::move(stage));
      },
      &describing);
  sort_ops(stages_, graph);
  backend.plan_choices(
      plan_.get(), [](void* context, const char* text) { *static_cast<Choices*>(context) = split(text); }, &choices_);
}

void CudaPlan::run(const uint8_t* clips, float* logits) {
  call_cuda(backend_.plan_run, plan_.get(), clips, logits, static_cast<double*>(nullptr));
}

void CudaPlan::profile(const uint8_t* clips, double* stage_ms) { call_cuda(backend_.plan_profile, plan_.get(), clips, stage_ms); }

RunTimes CudaPlan::measure(const MeasureOptions& options) {
  if (options.cold) throw Error("ERR_ARGUMENT", "the caches of a GPU cannot be emptied");
  std::optional<PinnedThread> pinned;
  if (options.core >= 0) pinned.emplace(options.core);
  const size_t clip = static_cast<size_t>(clip_bytes_), variants = options.clips.size() / clip, runs = static_cast<size_t>(options.runs);
  std::vector<float> logits(static_cast<size_t>(logits_size_));
  RunTimes times{std::vector<double>(runs), std::vector<double>(runs)};
  for (size_t i = 0; i < runs; i++) {
    const uint8_t* const clips = options.clips.data() + i % variants * clip;
    const auto begin = Clock::now();
    run(clips, logits.data());
    times.host[i] = ms_since(begin);
    call_cuda(backend_.plan_run, plan_.get(), clips, logits.data(), &times.device[i]);  // apart: its clock costs the host time
  }
  return times;
}

PlanMemory CudaPlan::memory() const {
  TvnCudaMemory memory{};
  backend_.plan_memory(plan_.get(), &memory);
  const auto bytes = [](int64_t n) { return static_cast<size_t>(n); };
  return {bytes(memory.weights), bytes(memory.arena), bytes(memory.activations), bytes(memory.scratch)};
}

}  // namespace tvn
