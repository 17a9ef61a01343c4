// The face of the engine to Node: lib/native.ts describes it in types. Converts, schedules off the event loop, returns promises.
#include <napi.h>

#include <algorithm>
#include <memory>

#include "addon/async.h"
#include "addon/convert.h"
#include "addon/instance.h"
#include "addon/layer_object.h"
#include "addon/plan_object.h"
#include "addon/tensor_functions.h"
#include "addon/trainer_object.h"
#include "runtime/clip_loader.h"
#include "runtime/cuda_backend.h"
#include "runtime/measure.h"
#include "runtime/memory.h"

namespace tvn::addon {
namespace {

Napi::Value cpu(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Napi::Object result = Napi::Object::New(env);
  result.Set("model", cpu_model());
  result.Set("features", texts(env, cpu_features()));
  result.Set("isa", isa_name(isa_for(env)));
  return result;
}

/** loadClips(clips, size, threads, out) */
Napi::Value load_clips_async(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!info[0].IsArray()) bad_argument(env, "clips: expected an array");
  const Napi::Array list = info[0].As<Napi::Array>();
  constexpr int64_t max_side = 1 << 15;
  const int64_t size = whole(info[1], "size", 1, 4096);
  const int threads = static_cast<int>(whole(info[2], "threads", 1, max_threads));
  std::vector<ClipRequest> clips(list.Length());
  for (uint32_t i = 0; i < clips.size(); i++) {
    if (!list.Get(i).IsObject()) bad_argument(env, "clips: expected objects");
    const Napi::Object from = list.Get(i).As<Napi::Object>();
    ClipRequest& clip = clips[i];
    clip.path = text(from, "path");
    clip.offset = whole(from, "offset", 0, int64_t{1} << 50);
    clip.width = whole(from, "width", 1, max_side);
    clip.height = whole(from, "height", 1, max_side);
    clip.frames = whole_numbers(property(from, "frames"), "frames", 0, 1 << 24);
    clip.side = whole(from, "side", 1, std::min(clip.width, clip.height));
    clip.left = whole(from, "left", 0, clip.width - clip.side);
    clip.top = whole(from, "top", 0, clip.height - clip.side);
    clip.flip = boolean(from, "flip");
    clip.gain = static_cast<float>(number(from, "gain", 0, 1e3));
    clip.bias = static_cast<float>(number(from, "bias", -1e3, 1e3));
    if (clip.frames.size() != clips[0].frames.size() || clip.frames.empty())
      bad_argument(env, "clips: every clip needs the same number of frames, at least one");
  }
  const int64_t frames = clips.empty() ? 0 : static_cast<int64_t>(clips[0].frames.size());
  if (frames > 4096) bad_argument(env, "clips: at most 4096 frames");
  const int64_t bytes = static_cast<int64_t>(clips.size()) * frames * size * size * 3;
  typed_array<uint8_t>(env, info[3], "out", bytes);
  const auto out = std::make_shared<Napi::ObjectReference>(Napi::Persistent(info[3].As<Napi::Object>()));
  const Isa isa = isa_for(env);
  return AsyncTask<std::vector<uint8_t>>::start(
      env,
      [clips = std::move(clips), size, threads, isa, bytes] {
        std::vector<uint8_t> loaded(static_cast<size_t>(bytes));
        load_clips(clips, size, threads, isa, loaded.data());
        return loaded;
      },
      [out](Napi::Env e, std::vector<uint8_t>& loaded) {
        const auto target = typed_array<uint8_t>(e, out->Value(), "out", static_cast<int64_t>(loaded.size()));
        std::copy(loaded.begin(), loaded.end(), target.begin());
        return e.Undefined();
      },
      {});
}

/** cudaDevices() */
Napi::Value cuda_devices_async(const Napi::CallbackInfo& info) {
  return AsyncTask<CudaDevices>::start(
      info.Env(), [setting = cuda_setting()] { return cuda_devices(setting); },
      [](Napi::Env env, CudaDevices& found) -> Napi::Value {
        Napi::Array list = Napi::Array::New(env);
        bool emulated = false;
        for (const TvnCudaDevice& from : found.devices) {
          Napi::Object device = Napi::Object::New(env);
          device.Set("name", from.name);
          device.Set("capability", std::to_string(from.major) + "." + std::to_string(from.minor));
          device.Set("multiprocessors", from.multiprocessors);
          device.Set("memory", static_cast<double>(from.memory));
          device.Set("driver", from.driver);
          device.Set("runtime", from.runtime);
          device.Set("cudnn", from.cudnn);
          list.Set(list.Length(), device);
          emulated |= from.emulated != 0;
        }
        Napi::Object result = Napi::Object::New(env);
        result.Set("available", found.absence == CudaAbsence::none);
        result.Set("absence", cuda_absence_name(found.absence));
        result.Set("reason", found.reason);
        result.Set("emulated", emulated);
        result.Set("devices", list);
        return result;
      },
      {});
}

/** measurePeak(milliseconds, precision = "f32") */
Napi::Value measure_peak_async(const Napi::CallbackInfo& info) {
  const int64_t milliseconds = whole(info[0], "milliseconds", 1, 60'000);
  const Isa isa = isa_for(info.Env());
  const Precision precision = info[1].IsUndefined() ? Precision::f32 : precision_argument(info[1]);
  return AsyncTask<double>::start(
      info.Env(), [milliseconds, isa, precision] { return measure_peak(isa, static_cast<double>(milliseconds), precision); },
      [](Napi::Env env, double& gflops) -> Napi::Value { return Napi::Number::New(env, gflops); }, {});
}

/** benchmarkConv(options) */
Napi::Value benchmark_conv_async(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Napi::Object from = object_argument(info, 0, "options");
  const auto x = whole_numbers(property(from, "x"), "x", 1, 1 << 16);
  if (x.size() != 5) bad_argument(env, "x: expected [N, T, H, W, C]");
  const std::string pass = text(from, "pass");
  if (pass != "forward" && pass != "data-gradient" && pass != "weight-gradient")
    bad_argument(env, "pass: expected forward, data-gradient or weight-gradient");
  const ConvBenchmark options{{x[0], x[1], x[2], x[3], x[4]},
                              whole(from, "outputChannels", 1, 1 << 16),
                              int3(property(from, "kernel"), "kernel"),
                              int3(property(from, "stride"), "stride"),
                              boolean(from, "depthwise"),
                              pass == "forward"         ? Pass::forward
                              : pass == "data-gradient" ? Pass::data_gradient
                                                        : Pass::weight_gradient,
                              static_cast<int>(whole(from, "threads", 1, max_threads)),
                              static_cast<int>(whole(from, "runs", 1, 100'000)),
                              precision_argument(property(from, "precision"))};
  if (options.depthwise && (options.kernel.t != 1 || options.stride.t != 1))
    bad_argument(env, "kernel: a depthwise kernel spans one frame");
  const Isa isa = isa_for(env);
  return AsyncTask<ConvTimes>::start(
      env, [options, isa] { return benchmark_conv(options, isa); },
      [](Napi::Env e, ConvTimes& times) -> Napi::Value {
        Napi::Float64Array ms = Napi::Float64Array::New(e, times.ms.size());
        std::copy(times.ms.begin(), times.ms.end(), ms.Data());
        Napi::Object result = Napi::Object::New(e);
        result.Set("kernel", times.kernel);
        result.Set("ms", ms);
        return result;
      },
      {});
}

Napi::Object initialise(Napi::Env env, Napi::Object exports) {
  share_arena();
  auto* data = new Instance;
  data->plan_class = Napi::Persistent(PlanObject::define(env));
  data->trainer_class = Napi::Persistent(TrainerObject::define(env));
  data->layer_class = Napi::Persistent(LayerObject::define(env));
  env.SetInstanceData(data);
  exports.Set("opsHash", TVN_OPS_HASH);
  exports.Set("cpu", Napi::Function::New<cpu>(env));
  exports.Set("cudaDevices", Napi::Function::New<cuda_devices_async>(env));
  exports.Set("createPlan", Napi::Function::New<PlanObject::create>(env));
  exports.Set("createTrainer", Napi::Function::New<TrainerObject::create>(env));
  exports.Set("createLayer", Napi::Function::New<LayerObject::create>(env));
  define_tensor_functions(env, exports);
  exports.Set("loadClips", Napi::Function::New<load_clips_async>(env));
  exports.Set("measurePeak", Napi::Function::New<measure_peak_async>(env));
  exports.Set("benchmarkConv", Napi::Function::New<benchmark_conv_async>(env));
  return exports;
}

NODE_API_MODULE(tvn, initialise)

}  // namespace
}  // namespace tvn::addon
