#include "addon/trainer_object.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include "addon/async.h"
#include "addon/convert.h"
#include "addon/instance.h"
#include "runtime/cpu_trainer.h"
#include "runtime/cuda_trainer.h"

namespace tvn::addon {
namespace {

TrainerOptions read_options(Napi::Env env, Napi::Object object) {
  const std::string task = text(object, "task");
  if (task != "single-label" && task != "multi-label") bad_argument(env, "task: expected single-label or multi-label");
  return {static_cast<int>(whole(object, "threads", 1, max_threads)),
          isa_for(env),
          task == "single-label" ? Task::single_label : Task::multi_label,
          static_cast<float>(number(object, "labelSmoothing", 0, 1)),
          static_cast<float>(number(object, "dropout", 0, 0.999)),
          static_cast<float>(number(object, "momentum", 0, 1)),
          boolean(object, "nesterov"),
          static_cast<float>(number(object, "weightDecay", 0, 1e6)),
          static_cast<uint64_t>(whole(object, "seed", 0, int64_t{1} << 53))};
}

Napi::Float32Array to_array(Napi::Env env, std::span<const float> values) {
  Napi::Float32Array array = Napi::Float32Array::New(env, values.size());
  std::copy(values.begin(), values.end(), array.Data());
  return array;
}

}  // namespace

Napi::Function TrainerObject::define(Napi::Env env) {
  return DefineClass(env, "NativeTrainer",
                     {InstanceMethod<&TrainerObject::step>("step"), InstanceMethod<&TrainerObject::gradients>("gradients"),
                      InstanceMethod<&TrainerObject::weights>("weights"), InstanceMethod<&TrainerObject::dispose>("dispose")});
}

TrainerObject::TrainerObject(const Napi::CallbackInfo& info) : ObjectWrap(info), trainer_(std::move(instance(info.Env()).next_trainer)) {
  if (!trainer_) bad_argument(info.Env(), "a trainer is made by createTrainer()");
}

Napi::Value TrainerObject::create(const Napi::CallbackInfo& info) {
  const TrainerOptions options = read_options(info.Env(), object_argument(info, 2, "options"));
  const std::optional<int> gpu = gpu_argument(property(object_argument(info, 2, "options"), "device"));
  Graph graph = graph_argument(info, 0);
  ParameterValues values = parameters_argument(info, 1, graph);
  return AsyncTask<std::shared_ptr<Trainer>>::start(
      info.Env(),
      [graph = std::move(graph), values = std::move(values), options, gpu, setting = cuda_setting()]() mutable -> std::shared_ptr<Trainer> {
        if (gpu) return std::make_shared<CudaTrainer>(require_cuda(setting, *gpu), *gpu, std::move(graph), values, options);
        return std::make_shared<CpuTrainer>(std::move(graph), values, options);
      },
      [](Napi::Env env, std::shared_ptr<Trainer>& trainer) -> Napi::Value {
        instance(env).next_trainer = std::move(trainer);
        return instance(env).trainer_class.New({});
      },
      {});
}

Trainer& TrainerObject::idle(Napi::Env env) const {
  if (!trainer_) throw make_error(env, "ERR_DISPOSED", "the trainer has been disposed");
  if (busy_) throw make_error(env, "ERR_BUSY", "the trainer already runs");
  return *trainer_;
}

Napi::Value TrainerObject::step(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Trainer& trainer = idle(env);
  const int64_t batch = whole(info[1], "batch", 1, max_batch);
  const auto clips = typed_array<uint8_t>(env, info[0], "clips", batch * trainer.clip_bytes());
  const auto labels = typed_array<int32_t>(env, info[2], "labels", batch * trainer.labels_per_clip());
  const int64_t highest = trainer.labels_per_clip() == 1 && trainer.classes() > 1 ? trainer.classes() - 1 : 1;
  for (const int32_t label : labels)
    if (label < 0 || label > highest) bad_argument(env, "labels: " + std::to_string(label) + " is not in 0…" + std::to_string(highest));
  const double rate = info[3].IsNumber() ? info[3].As<Napi::Number>().DoubleValue() : std::nan("");
  if (!std::isfinite(rate) || rate < 0) bad_argument(env, "learningRate: expected a number from 0");

  struct Outcome {
    StepResult result;
    std::vector<float> logits;
  };
  busy_ = true;
  return AsyncTask<Outcome>::start(
      env,
      [trainer = trainer_, batch, rate, clips = std::vector<uint8_t>(clips.begin(), clips.end()),
       labels = std::vector<int32_t>(labels.begin(), labels.end())] {
        Outcome outcome{{}, std::vector<float>(static_cast<size_t>(batch * trainer->classes()))};
        outcome.result = trainer->step(clips.data(), batch, labels.data(), static_cast<float>(rate), outcome.logits.data());
        return outcome;
      },
      [](Napi::Env e, Outcome& outcome) -> Napi::Value {
        Napi::Object result = Napi::Object::New(e);
        result.Set("loss", outcome.result.loss);
        result.Set("skipped", outcome.result.skipped);
        result.Set("lossScale", outcome.result.loss_scale);
        result.Set("logits", to_array(e, outcome.logits));
        return result;
      },
      info.This().As<Napi::Object>(), [this] { busy_ = false; });
}

Napi::Value TrainerObject::read(const Napi::CallbackInfo& info, bool gradients) {
  idle(info.Env());
  busy_ = true;
  using Values = std::vector<std::vector<float>>;  // by parameter; empty: not wanted
  return AsyncTask<Values>::start(
      info.Env(),
      [trainer = trainer_, gradients] {
        Values values(trainer->parameters().size());
        for (size_t i = 0; i < values.size(); i++) {
          const ParameterInfo& parameter = trainer->parameters()[i];
          if (gradients && !parameter.trainable) continue;
          values[i].resize(static_cast<size_t>(parameter.size));
          trainer->read(i, gradients, values[i].data());
        }
        return values;
      },
      [trainer = trainer_](Napi::Env env, Values& values) -> Napi::Value {
        Napi::Object result = Napi::Object::New(env);
        for (size_t i = 0; i < values.size(); i++)
          if (!values[i].empty()) result.Set(trainer->parameters()[i].name, to_array(env, values[i]));
        return result;
      },
      info.This().As<Napi::Object>(), [this] { busy_ = false; });
}

Napi::Value TrainerObject::gradients(const Napi::CallbackInfo& info) { return read(info, true); }

Napi::Value TrainerObject::weights(const Napi::CallbackInfo& info) { return read(info, false); }

/** A call in flight keeps the trainer until it ends. */
void TrainerObject::dispose(const Napi::CallbackInfo&) { trainer_.reset(); }

}  // namespace tvn::addon
