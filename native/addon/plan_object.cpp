#include "addon/plan_object.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "addon/async.h"
#include "addon/convert.h"
#include "addon/here.h"
#include "addon/instance.h"
#include "runtime/cpu_plan.h"
#include "runtime/cuda_plan.h"
#include "runtime/memory.h"

namespace tvn::addon {
namespace {

Napi::Float64Array to_array(Napi::Env env, std::span<const double> values) {
  Napi::Float64Array array = Napi::Float64Array::New(env, values.size());
  std::copy(values.begin(), values.end(), array.Data());
  return array;
}

}  // namespace

Napi::Function PlanObject::define(Napi::Env env) {
  return DefineClass(env, "NativePlan",
                     {InstanceMethod<&PlanObject::run>("run"), InstanceMethod<&PlanObject::run_here>("runHere"),
                      InstanceMethod<&PlanObject::measure>("measure"), InstanceMethod<&PlanObject::profile>("profile"),
                      InstanceMethod<&PlanObject::stages>("stages"), InstanceMethod<&PlanObject::choices>("choices"),
                      InstanceMethod<&PlanObject::memory>("memory"), InstanceMethod<&PlanObject::dispose>("dispose")});
}

PlanObject::PlanObject(const Napi::CallbackInfo& info) : ObjectWrap(info), plan_(std::move(instance(info.Env()).next_plan)) {
  if (!plan_) bad_argument(info.Env(), "a plan is made by createPlan()");
}

Napi::Value PlanObject::create(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Napi::Object options = object_argument(info, 2, "options");
  const int64_t batch = whole(options, "batch", 1, max_batch);
  const int threads = static_cast<int>(whole(options, "threads", 1, max_threads));
  const Isa isa = isa_for(env);
  const std::optional<int> gpu = gpu_argument(property(options, "device"));
  const Napi::Value precision_value = property(options, "precision");
  if (gpu) require_half(precision_value);
  const Precision precision = gpu ? Precision::f32 : precision_argument(precision_value);
  Tuning known;
  if (const Napi::Value tuning = property(options, "tuning"); !tuning.IsUndefined()) {
    if (!tuning.IsObject()) bad_argument(env, "tuning: expected an object");
    const Napi::Value choices = property(tuning.As<Napi::Object>(), "known");
    if (!choices.IsObject()) bad_argument(env, "tuning.known: expected an object");
    known = {text_properties(choices.As<Napi::Object>()), number(tuning.As<Napi::Object>(), "seconds", 0, 3600)};
  }
  Graph graph = graph_argument(info, 0);
  ParameterValues values = parameters_argument(info, 1, graph);
  return AsyncTask<std::shared_ptr<Plan>>::start(
      env,
      [=, graph = std::move(graph), values = std::move(values), known = std::move(known),
       setting = cuda_setting()]() mutable -> std::shared_ptr<Plan> {
        if (gpu)
          return std::make_shared<CudaPlan>(require_cuda(setting, *gpu), std::move(graph), std::move(values),
                                            CudaPlanOptions{*gpu, batch, all_passes, std::move(known)});
        return std::make_shared<CpuPlan>(std::move(graph), std::move(values),
                                         CpuPlanOptions{batch, threads, isa, precision, all_passes, band_limits(), std::move(known)});
      },
      [](Napi::Env e, std::shared_ptr<Plan>& plan) -> Napi::Value {
        instance(e).next_plan = std::move(plan);
        return instance(e).plan_class.New({});
      },
      {});
}

Plan& PlanObject::live(Napi::Env env) const {
  if (!plan_) throw make_error(env, "ERR_DISPOSED", "the plan has been disposed");
  return *plan_;
}

std::function<void()> PlanObject::begin(Napi::Env env) {
  live(env);
  if (busy_) throw make_error(env, "ERR_BUSY", "the plan already runs");
  busy_ = true;
  return [this] { busy_ = false; };
}

Napi::Value PlanObject::run(const Napi::CallbackInfo& info) {
  Plan& plan = live(info.Env());
  const auto clips = typed_array<uint8_t>(info.Env(), info[0], "clips", plan.clip_bytes());
  return AsyncTask<std::vector<float>>::start(
      info.Env(),
      [plan = plan_, copy = std::vector<uint8_t>(clips.begin(), clips.end())] {
        std::vector<float> logits(static_cast<size_t>(plan->logits_size()));
        plan->run(copy.data(), logits.data());
        return logits;
      },
      [](Napi::Env env, std::vector<float>& logits) -> Napi::Value {
        Napi::Float32Array array = Napi::Float32Array::New(env, logits.size());
        std::copy(logits.begin(), logits.end(), array.Data());
        return array;
      },
      info.This().As<Napi::Object>(), begin(info.Env()));
}

Napi::Value PlanObject::run_here(const Napi::CallbackInfo& info) {
  Plan& plan = live(info.Env());
  const auto clips = typed_array<uint8_t>(info.Env(), info[0], "clips", plan.clip_bytes());
  if (busy_) throw make_error(info.Env(), "ERR_BUSY", "the plan already runs");
  Napi::Float32Array logits = Napi::Float32Array::New(info.Env(), static_cast<size_t>(plan.logits_size()));
  here(info.Env(), [&] { plan.run(clips.data(), logits.Data()); });
  return logits;
}

Napi::Value PlanObject::measure(const Napi::CallbackInfo& info) {
  const Napi::Object options = object_argument(info, 0, "options");
  MeasureOptions measure_options{static_cast<int>(whole(options, "runs", 1, 1'000'000)),
                                 {},
                                 boolean(options, "cold"),
                                 static_cast<int>(whole(options, "core", -1, 1023))};
  const auto clips = typed_array<uint8_t>(info.Env(), property(options, "clips"), "clips");
  if (clips.empty() || static_cast<int64_t>(clips.size()) % live(info.Env()).clip_bytes() != 0)
    bad_argument(info.Env(), "clips: expected a whole number of batches");
  return AsyncTask<RunTimes>::start(
      info.Env(),
      [plan = plan_, copy = std::vector<uint8_t>(clips.begin(), clips.end()), measure_options]() mutable {
        measure_options.clips = copy;
        return plan->measure(measure_options);
      },
      [](Napi::Env env, RunTimes& times) -> Napi::Value {
        Napi::Object result = Napi::Object::New(env);
        result.Set("ms", to_array(env, times.host));
        if (!times.device.empty()) result.Set("deviceMs", to_array(env, times.device));
        return result;
      },
      info.This().As<Napi::Object>(), begin(info.Env()));
}

Napi::Value PlanObject::profile(const Napi::CallbackInfo& info) {
  Plan& plan = live(info.Env());
  const auto clips = typed_array<uint8_t>(info.Env(), info[0], "clips", plan.clip_bytes());
  const size_t runs = static_cast<size_t>(whole(info[1], "runs", 1, 100'000)), stages = plan.stages().size();
  return AsyncTask<std::vector<double>>::start(
      info.Env(),
      [plan = plan_, copy = std::vector<uint8_t>(clips.begin(), clips.end()), runs, stages] {
        std::vector<double> ms(runs * stages);
        for (size_t i = 0; i < runs; i++) plan->profile(copy.data(), ms.data() + i * stages);
        return ms;
      },
      [runs, stages](Napi::Env env, std::vector<double>& ms) -> Napi::Value {
        Napi::Array list = Napi::Array::New(env, runs);
        for (size_t i = 0; i < runs; i++) list.Set(static_cast<uint32_t>(i), to_array(env, std::span(ms).subspan(i * stages, stages)));
        return list;
      },
      info.This().As<Napi::Object>(), begin(info.Env()));
}

Napi::Value PlanObject::stages(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::vector<Stage>& stages = live(env).stages();
  Napi::Array list = Napi::Array::New(env, stages.size());
  for (uint32_t i = 0; i < stages.size(); i++) {
    Napi::Object stage = Napi::Object::New(env);
    stage.Set("name", stages[i].name);
    stage.Set("ops", texts(env, stages[i].ops));
    stage.Set("kind", stages[i].kind);
    stage.Set("shape", stages[i].shape);
    stage.Set("kernel", stages[i].kernel);
    stage.Set("cut", stages[i].cut);
    stage.Set("refused", texts(env, stages[i].refused));
    stage.Set("macs", static_cast<double>(stages[i].macs));
    stage.Set("bytes", static_cast<double>(stages[i].bytes));
    list.Set(i, stage);
  }
  return list;
}

Napi::Value PlanObject::choices(const Napi::CallbackInfo& info) { return text_object(info.Env(), live(info.Env()).choices()); }

Napi::Value PlanObject::memory(const Napi::CallbackInfo& info) {
  const PlanMemory bytes = live(info.Env()).memory();
  Napi::Object memory = Napi::Object::New(info.Env());
  memory.Set("weights", static_cast<double>(bytes.weights));
  memory.Set("arena", static_cast<double>(bytes.arena));
  memory.Set("activations", static_cast<double>(bytes.activations));
  memory.Set("scratch", static_cast<double>(bytes.scratch));
  return memory;
}

/** A run in flight keeps the plan until it ends. */
void PlanObject::dispose(const Napi::CallbackInfo& info) {
  if (!plan_) return;
  AsyncTask<bool>::start(
      info.Env(),
      [plan = std::move(plan_)]() mutable {  // off the event loop: large plans take milliseconds to be freed
        plan.reset();
        release_freed_memory();
        return true;
      },
      [](Napi::Env env, bool&) { return env.Undefined(); }, {});
}

}  // namespace tvn::addon
