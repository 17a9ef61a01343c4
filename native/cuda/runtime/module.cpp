// The library's one entry: the C table over Plan and Trainer. No exception leaves it.
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <new>

#include "core/error.h"
#include "cuda/backend.h"
#include "cuda/kernels/probe.h"
#include "cuda/runtime/cudnn.h"
#include "cuda/runtime/plan.h"
#include "cuda/runtime/trainer.h"

struct TvnCudaPlan {
  tvn::cuda::Plan plan;
};
struct TvnCudaTrainer {
  tvn::cuda::Trainer trainer;
};

namespace tvn::cuda {
namespace {

void write(char* to, size_t capacity, const std::string& text) {
  if (capacity > 0) std::snprintf(to, capacity, "%s", text.c_str());
}

void write_error(TvnCudaError* error, const char* code, const char* message) {
  if (!error) return;
  write(error->code, sizeof error->code, code);
  write(error->message, sizeof error->message, message);
}

/** Runs f; 1 and the error where it throws. */
template <class F>
int32_t guarded(TvnCudaError* error, const F& f) {
  try {
    f();
    return 0;
  } catch (const Error& e) {
    write_error(error, e.code(), e.what());
  } catch (const std::bad_alloc&) {
    write_error(error, "ERR_MEMORY", "out of memory");
  } catch (const std::exception& e) {
    write_error(error, "ERR_NATIVE", e.what());
  }
  return 1;
}

std::string version_text(int version) { return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10); }

/** An answer that is no error of this thread: the next launch on it must not report that there is no device. */
cudaError_t asked(cudaError_t error) {
  if (error != cudaSuccess) cudaGetLastError();
  return error;
}

int driver_version() {
  int version = 0;
  return cudaDriverGetVersion(&version) == cudaSuccess ? version : 0;
}

int runtime_version() {
  int version = 0;
  return cudaRuntimeGetVersion(&version) == cudaSuccess ? version : 0;
}

/** Whether the library has code for a device. Asked once for each compute capability: it takes a context on the device. */
bool has_code(int device, const cudaDeviceProp& p) {
  static std::mutex mutex;
  static std::map<int, bool>& answers = *new std::map<int, bool>;
  const std::lock_guard lock(mutex);
  const int capability = p.major * 10 + p.minor;
  if (const auto known = answers.find(capability); known != answers.end()) return known->second;
  if (asked(cudaSetDevice(device)) != cudaSuccess) return true;  // what is wrong then, whoever uses it will hear
  const cudaError_t error = asked(find_code());
  const bool has = error != cudaErrorNoKernelImageForDevice && error != cudaErrorInvalidDeviceFunction;
  if (error == cudaSuccess || !has) answers.emplace(capability, has);
  return has;
}

/** Why a device cannot be used; "" where it can. */
std::string refusal(int device) {
  cudaDeviceProp p{};
  if (const cudaError_t error = asked(cudaGetDeviceProperties(&p, device)); error != cudaSuccess)
    return std::string("device ") + std::to_string(device) + ": " + cudaGetErrorString(error);
  const std::string capability = std::to_string(p.major) + "." + std::to_string(p.minor);
  if (p.major < 7) return std::string(p.name) + ": compute capability " + capability + " < 7.0, it has no tensor cores";
  if (!has_code(device, p))
    return std::string(p.name) + ": the backend, built with CUDA " + version_text(runtime_version()) +
           ", has no code for compute capability " + capability +
           ": build it with -DTVN_CUDA_ARCHITECTURES=" + std::to_string(p.major * 10 + p.minor) +
           (p.major == 7 && p.minor < 5 ? " and CUDA 12.9 or older" : "");
  return "";
}

int32_t device_count(char* reason, size_t capacity) {
  int count = 0;
  const cudaError_t error = asked(cudaGetDeviceCount(&count));
  if (error == cudaErrorInsufficientDriver || (error == cudaErrorNoDevice && driver_version() == 0)) {
    const int driver = driver_version();
    write(reason, capacity,
          driver == 0 ? "no NVIDIA driver is installed"
                      : "the driver speaks CUDA " + version_text(driver) + ", this backend needs " + version_text(runtime_version()) +
                            ": update the driver");
    return 0;
  }
  if (error == cudaErrorNoDevice || (error == cudaSuccess && count == 0)) {
    write(reason, capacity, "no NVIDIA GPU is there");
    return 0;
  }
  if (error != cudaSuccess) {
    write(reason, capacity, std::string("the driver says: ") + cudaGetErrorString(error));
    return 0;
  }
  for (int i = 0; i < count; i++) {
    if (const std::string why = refusal(i); !why.empty()) {
      write(reason, capacity, why);
      if (i == 0) return 0;
      return i;  // those before it
    }
  }
  write(reason, capacity, "");
  return count;
}

int32_t device(int32_t index, TvnCudaDevice* info, TvnCudaError* error) {
  return guarded(error, [&] {
    if (const std::string why = refusal(index); !why.empty()) throw Error("ERR_DEVICE", why);
    cudaDeviceProp p{};
    check(cudaGetDeviceProperties(&p, index), "asking for the GPU's properties");
    *info = {};
    write(info->name, sizeof info->name, p.name);
    info->major = p.major;
    info->minor = p.minor;
    info->multiprocessors = p.multiProcessorCount;
    info->memory = static_cast<int64_t>(p.totalGlobalMem);
    write(info->driver, sizeof info->driver, version_text(driver_version()));
    write(info->runtime, sizeof info->runtime, version_text(runtime_version()));
    write(info->cudnn, sizeof info->cudnn, cudnn_description());
#ifdef TVN_EMULATION
    info->emulated = 1;
#endif
  });
}

std::map<std::string, std::string> read_choices(const char* text) {
  std::map<std::string, std::string> choices;
  for (const char* line = text; line && *line;) {
    const char* const tab = std::strchr(line, '\t');
    const char* const end = std::strchr(line, '\n');
    if (!tab || !end || tab > end) break;
    choices.emplace(std::string(line, tab), std::string(tab + 1, end));
    line = end + 1;
  }
  return choices;
}

int32_t plan_create(const TvnCudaProgram* program, const TvnCudaPlanOptions* options, TvnCudaPlan** plan, TvnCudaError* error) {
  return guarded(error, [&] {
    const PlanOptions how{options->device, options->batch, read_choices(options->known_choices), options->tuning_seconds};
    *plan = new TvnCudaPlan{Plan(read_program(*program, options->batch), how)};
  });
}

int32_t plan_run(TvnCudaPlan* plan, const uint8_t* clips, float* logits, double* device_ms, TvnCudaError* error) {
  return guarded(error, [&] { plan->plan.run(clips, logits, device_ms); });
}

int32_t plan_profile(TvnCudaPlan* plan, const uint8_t* clips, double* stage_ms, TvnCudaError* error) {
  return guarded(error, [&] { plan->plan.profile(clips, stage_ms); });
}

void plan_stages(const TvnCudaPlan* plan, TvnCudaStageVisitor visit, void* context) {
  for (const Step& step : plan->plan.steps()) {
    const TvnCudaStage stage{step.nodes.data(),   static_cast<int32_t>(step.nodes.size()),
                             step.kernel.c_str(), step.way == 0 ? "" : step.ways[step.way].c_str(),
                             step.macs,           step.bytes};
    visit(context, &stage);
  }
}

void plan_choices(const TvnCudaPlan* plan, TvnCudaTextVisitor visit, void* context) {
  std::string text;
  for (const auto& [key, name] : plan->plan.choices()) text += key + '\t' + name + '\n';
  visit(context, text.c_str());
}

void plan_memory(const TvnCudaPlan* plan, TvnCudaMemory* memory) {
  const Plan& p = plan->plan;
  *memory = {static_cast<int64_t>(p.weight_bytes()), static_cast<int64_t>(p.arena_bytes()), static_cast<int64_t>(p.activation_bytes()),
             static_cast<int64_t>(p.scratch_bytes())};
}

/** What it owns is given back to its device, whichever is current on this thread. */
void plan_destroy(TvnCudaPlan* plan) {
  if (plan) cudaSetDevice(plan->plan.device());
  delete plan;
}

int32_t trainer_create(const TvnCudaProgram* program, const TvnCudaTrainerOptions* o, TvnCudaTrainer** trainer, TvnCudaError* error) {
  return guarded(error, [&] {
    *trainer = new TvnCudaTrainer{Trainer(read_program(*program, 1), {o->device, o->multi_label != 0, o->label_smoothing, o->dropout,
                                                                      o->momentum, o->weight_decay, o->nesterov != 0, o->seed})};
  });
}

int32_t trainer_step(TvnCudaTrainer* trainer, const uint8_t* clips, int64_t batch, const int32_t* labels, float rate, float* logits,
                     TvnCudaStepResult* result, TvnCudaError* error) {
  return guarded(error, [&] {
    const StepResult step = trainer->trainer.step(clips, batch, labels, rate, logits);
    *result = {step.loss, step.loss_scale, step.skipped ? 1 : 0, step.skipped_steps};
  });
}

int32_t trainer_read(TvnCudaTrainer* trainer, int32_t parameter, int32_t gradient, float* to, TvnCudaError* error) {
  return guarded(error, [&] { trainer->trainer.read(static_cast<size_t>(parameter), gradient != 0, to); });
}

void trainer_destroy(TvnCudaTrainer* trainer) {
  if (trainer) cudaSetDevice(trainer->trainer.device());
  delete trainer;
}

}  // namespace
}  // namespace tvn::cuda

extern "C" __attribute__((visibility("default"))) const TvnCudaBackend* tvn_cuda_backend(void) {
  using namespace tvn::cuda;
  static const TvnCudaBackend table{TVN_CUDA_ABI, TVN_OPS_HASH,   device_count, device,       plan_create,
                                    plan_run,     plan_profile,   plan_stages,  plan_choices, plan_memory,
                                    plan_destroy, trainer_create, trainer_step, trainer_read, trainer_destroy};
  return &table;
}
