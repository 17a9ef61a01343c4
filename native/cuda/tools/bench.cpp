// tvn_cuda_bench: networks of native/cuda/networks on the device, in lines of JSON on the standard output. It needs no Node.
//
//   tvn_cuda_bench --check                                  TVN-1 to TVN-4 in batches of 1, 8 and 64, training steps of 8 and 16
//   tvn_cuda_bench --network tvn-1 --batch 1 --train none --profile
//
//   --network A,B     names in native/cuda/networks, or paths with a slash
//   --batch 1,8,64    of inference; none
//   --train 8,16      batches of training steps; none
//   --size N          pixels of a side instead of the network's own, for the emulation
//   --runs N          runs that are timed (100), after a warm-up; 0 times nothing
//   --check           logits and one training step must be near those of the CPU engine in f32; else the exit status is 1
//   --profile         the time of each stage
//   --stages          which stages a plan has, which kernels a training step, and, under the emulation, what they launch; nothing is run
//   --tuning S        seconds for trying other ways to cut the work (2; 0 under the emulation)
//   --cudnn           nothing but this: each distinct convolution of the networks alone, beside cuDNN's fastest algorithm for it; TVN_CUDNN
//                     may be a path
//   --seconds S       begins nothing more after so long: rows `skipped`
//   --serve           takes its work from the standard input, so that rivals can take turns with it (serve.h)
//
// Rows: device; check, inference, training (milliseconds: median, p90, min), stage, training_kernel, launch, convolution, skipped, failure.
// Exit status: 0, 1 (wrong results), 2 (arguments), 3 (no device), 4 (something failed), 5 (--cudnn, but there is no cuDNN).
#include <array>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>

#include "core/clock.h"
#include "core/error.h"
#include "cuda/runtime/inference_builder.h"
#include "cuda/tools/contenders.h"
#include "cuda/tools/convolutions.h"
#include "cuda/tools/launches.h"
#include "cuda/tools/serve.h"
#include "cuda/tools/training_cost.h"

extern "C" const TvnCudaBackend* tvn_cuda_backend(void);

namespace tvn::cuda::tools {
namespace {

/** Of fp16 with f32 sums, relative to the largest logit. */
constexpr double logits_tolerance = 2e-2;
/** A training step's errors may be so many times those of roundings of the weights alone, for activations and gradients are rounded too. */
constexpr double inherent_factor = 5, smallest_tolerance = 2e-3;
constexpr int64_t checked_training_batch = 8;

struct Options {
  std::vector<std::string> networks{"tvn-1", "tvn-2", "tvn-3", "tvn-4"};
  std::vector<int64_t> batches{1, 8, 64}, training{8, 16};
  int64_t size = 0;
  int runs = 100;
  double tuning = -1, seconds = 1e6;
  bool check = false, profile = false, stages = false, cudnn = false, serve = false;
};

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    if (end > begin) parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

int64_t number(const std::string& text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < 0)
    throw Error("ERR_ARGUMENT", "a number was expected, got " + text);
  return value;
}

std::vector<int64_t> numbers(const std::string& text) {
  std::vector<int64_t> list;
  if (text != "none")
    for (const std::string& part : split(text)) list.push_back(number(part));
  return list;
}

Options read_options(int argc, char** argv) {
  Options o;
  for (int i = 1; i < argc; i++) {
    const std::string name = argv[i];
    const auto value = [&] {
      if (++i == argc) throw Error("ERR_ARGUMENT", name + " needs a value");
      return std::string(argv[i]);
    };
    if (name == "--network")
      o.networks = split(value());
    else if (name == "--batch")
      o.batches = numbers(value());
    else if (name == "--train")
      o.training = numbers(value());
    else if (name == "--size")
      o.size = number(value());
    else if (name == "--runs")
      o.runs = static_cast<int>(number(value()));
    else if (name == "--tuning")
      o.tuning = std::atof(value().c_str());
    else if (name == "--seconds")
      o.seconds = std::atof(value().c_str());
    else if (name == "--cudnn")
      o.cudnn = true;
    else if (name == "--check")
      o.check = true;
    else if (name == "--profile")
      o.profile = true;
    else if (name == "--stages")
      o.stages = true;
    else if (name == "--serve")
      o.serve = true;
    else
      throw Error("ERR_ARGUMENT", "there is no option " + name);
  }
  return o;
}

/** The rows of all networks. A part that fails is a row of its own, and the others go on. */
class Bench {
 public:
  Bench(const TvnCudaBackend& backend, const Options& options) : backend_(backend), o_(options) {}

  int run() {
    if (o_.stages) run_nothing();
    for (const std::string& network : o_.networks)
      guarded(network, 0, "network", [&] {
        const Subject subject = read_subject(network, o_.size, o_.stages ? Weights::zero : Weights::random);
        for (const int64_t batch : o_.batches) begin(subject, batch, "inference", [&] { infer(subject, batch); });
        if (o_.stages) {
          for (const int64_t batch : o_.training) begin(subject, batch, "training", [&] { print_training_kernels(subject, batch); });
          return;
        }
        if (o_.check && !o_.training.empty()) begin(subject, checked_training_batch, "training", [&] { check_training(subject); });
        if (o_.runs > 0)
          for (const int64_t batch : o_.training) begin(subject, batch, "training", [&] { train(subject, batch); });
      });
    return wrong_ ? 1 : failed_ ? 4 : 0;
  }

  /** All networks in one batch before the next one. */
  int compare_with_cudnn() {
    if (const std::string absence = cudnn_absence(); !absence.empty()) {
      std::fprintf(stderr, "there is no cuDNN: %s\n", absence.c_str());
      return 5;
    }
    for (const int64_t batch : o_.batches)
      for (const std::string& network : o_.networks)
        guarded(network, batch, "convolution", [&] { compare_with_cudnn(read_subject(network, o_.size, Weights::zero), batch); });
    return failed_ ? 4 : 0;
  }

 private:
  bool is_over() const { return Clock::now() >= end_; }

  /** Unless time is over. */
  void begin(const Subject& subject, int64_t batch, const char* what, const std::function<void()>& f) {
    is_over() ? skip(subject, batch, what, "no time") : guarded(subject.name, batch, what, f);
  }
  static void skip(const Subject& subject, int64_t batch, const char* what, const std::string& reason) {
    JsonRow("skipped").add("task", what).add("network", subject.name).add("batch", batch).add("reason", reason).print();
  }

  void guarded(const std::string& network, int64_t batch, const char* what, const std::function<void()>& f) {
    try {
      f();
    } catch (const std::exception& error) {
      failed_ = true;
      const Error* const ours = dynamic_cast<const Error*>(&error);
      JsonRow("failure")
          .add("network", network)
          .add("task", what)
          .add("batch", batch)
          .add("code", ours ? ours->code() : "")
          .add("message", error.what())
          .print();
    }
  }

  void infer(const Subject& subject, int64_t batch) {
    const auto begin = Clock::now();
    take_launches();
    Inference inference(backend_, subject, batch, {{}, o_.tuning});
    const double ready = seconds_since(begin);
    if (o_.stages || o_.profile) print_stages(subject, inference, batch);
    if (o_.stages) {
      // the plan has recorded its kernels between copies, and then alone
      std::vector<Launch> launches = take_launches();
      launches.erase(launches.begin(), launches.begin() + static_cast<std::ptrdiff_t>(launches.size() / 2));
      return print_launches(subject, batch, launches);
    }
    if (o_.check) {
      const double error = inference.error(subject);
      const bool ok = error <= logits_tolerance;
      wrong_ |= !ok;
      JsonRow("check")
          .add("network", subject.name)
          .add("task", "inference")
          .add("batch", batch)
          .add("error", error)
          .add("tolerance", logits_tolerance)
          .add("ok", ok)
          .print();
    }
    if (o_.runs == 0) return;
    inference.warm_up(0.3, o_.runs);
    const auto [host, device] = inference.block(o_.runs);
    const PlanMemory memory = inference.plan().memory();
    JsonRow("inference")
        .add("network", subject.name)
        .add("batch", batch)
        .add("size", subject.graph.input_shape.h)
        .add("host_ms", summarize(host))
        .add("device_ms", summarize(device))
        .add("kernels", static_cast<int64_t>(inference.plan().stages().size()))
        .add("macs", subject.macs * batch)
        .add("weights", static_cast<int64_t>(memory.weights))
        .add("arena", static_cast<int64_t>(memory.arena))
        .add("ready_s", ready)
        .print();
  }

  void compare_with_cudnn(const Subject& subject, int64_t batch) {
    const CurrentDevice device(0);
    for (const auto& [name, count, macs, shape] : distinct_convolutions(tvn::check(subject.graph), batch)) {
      if (is_over()) return skip(subject, batch, "convolution", "no time: from " + name + " on");
      const ConvolutionTimes times = time_convolution(shape, o_.runs);
      JsonRow row("convolution");
      row.add("network", subject.name)
          .add("batch", batch)
          .add("name", name)
          .add("count", count)
          .add("shape", describe(shape.x) + " → " + describe(shape.y) + ", " + describe(shape.window))
          .add("macs", macs)
          .add("runs", times.runs)
          .add("ms", times.ours);
      if (times.cudnn)
        row.add("cudnn_ms", *times.cudnn);
      else
        row.add("refusal", times.refusal);
      row.print();
    }
  }

  void print_stages(const Subject& subject, Inference& inference, int64_t batch) {
    const std::vector<double> ms = o_.stages ? std::vector<double>{} : inference.profile(std::max(1, o_.runs / 5));
    const std::vector<Stage>& stages = inference.plan().stages();
    for (size_t i = 0; i < stages.size(); i++) {
      JsonRow row("stage");
      row.add("network", subject.name)
          .add("batch", batch)
          .add("index", static_cast<int64_t>(i))
          .add("kernel", stages[i].kernel)
          .add("cut", stages[i].cut)
          .add("name", stages[i].name)
          .add("shape", stages[i].shape)
          .add("ops", stages[i].ops)
          .add("macs", stages[i].macs)
          .add("bytes", stages[i].bytes);
      if (i < ms.size()) row.add("ms", ms[i]);
      row.print();
    }
  }

  void print_launches(const Subject& subject, int64_t batch, const std::vector<Launch>& launches) {
    for (const Launch& launch : launches)
      JsonRow("launch")
          .add("network", subject.name)
          .add("batch", batch)
          .add("file", launch.file)
          .add("blocks", launch.blocks)
          .add("threads", launch.threads)
          .print();
  }

  void print_training_kernels(const Subject& subject, int64_t batch) {
    for (const KernelCost& cost : training_costs(subject, batch))
      JsonRow("training_kernel")
          .add("network", subject.name)
          .add("batch", batch)
          .add("name", cost.name)
          .add("kernel", cost.kernel)
          .add("file", cost.file)
          .add("macs", cost.macs)
          .add("bytes", cost.bytes)
          .print();
    take_launches();
    record_training_step(subject, batch);
    print_launches(subject, batch, take_launches());
  }

  void check_training(const Subject& subject) {
    const TrainingErrors errors = training_errors(backend_, subject, checked_training_batch);
    const StepErrors &found = errors.found, &inherent = errors.inherent;
    bool ok = !errors.skipped;
    for (const auto error : {&StepErrors::loss, &StepErrors::logits, &StepErrors::gradients, &StepErrors::head})
      ok = ok && found.*error <= inherent_factor * inherent.*error + smallest_tolerance;
    wrong_ |= !ok;
    const auto list = [](const StepErrors& e) { return std::array{e.loss, e.logits, e.gradients, e.head}; };
    JsonRow("check")
        .add("network", subject.name)
        .add("task", "training")
        .add("batch", checked_training_batch)
        .add("error", found.logits)
        .add("tolerance", inherent_factor * inherent.logits + smallest_tolerance)
        .add("gradient_error", found.gradients)
        .add("loss_logits_gradients_head", std::span<const double>(list(found)))
        .add("inherent", std::span<const double>(list(inherent)))
        .add("skipped", errors.skipped)
        .add("ok", ok)
        .print();
  }

  void train(const Subject& subject, int64_t batch) {
    Training training(backend_, subject, batch);
    training.warm_up(0.3, o_.runs);
    JsonRow("training")
        .add("network", subject.name)
        .add("batch", batch)
        .add("size", subject.graph.input_shape.h)
        .add("host_ms", summarize(training.block(o_.runs).host))
        .add("macs", 3 * subject.macs * batch)
        .print();
  }

  const TvnCudaBackend& backend_;
  const Options& o_;
  const Clock::time_point end_ = in_seconds(o_.seconds);
  bool wrong_ = false, failed_ = false;
};

int run(int argc, char** argv) {
  Options options;
  try {
    options = read_options(argc, argv);
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  }
  const TvnCudaBackend& backend = *tvn_cuda_backend();
  char reason[512] = {};
  TvnCudaDevice device{};
  TvnCudaError error{};
  if (backend.device_count(reason, sizeof reason) < 1 || backend.device(0, &device, &error) != 0) {
    std::fprintf(stderr, "there is no GPU to be used: %s%s\n", reason, error.message);
    return 3;
  }
  if (options.tuning < 0) options.tuning = device.emulated ? 0 : 2;
  JsonRow("device")
      .add("name", device.name)
      .add("compute_capability", std::to_string(device.major) + "." + std::to_string(device.minor))
      .add("multiprocessors", device.multiprocessors)
      .add("memory", device.memory)
      .add("driver_cuda", device.driver)
      .add("runtime_cuda", device.runtime)
      .add("cudnn", device.cudnn)
      .add("emulated", device.emulated != 0)
      .add("cpu", cpu_model())
      .add("cpu_threads", cpu_threads())
      .print();
  if (options.serve) return serve(backend, options.size, options.tuning);
  Bench bench(backend, options);
  return options.cudnn ? bench.compare_with_cudnn() : bench.run();
}

}  // namespace
}  // namespace tvn::cuda::tools

int main(int argc, char** argv) { return tvn::cuda::tools::run(argc, argv); }
