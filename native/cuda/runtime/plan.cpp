#include "cuda/runtime/plan.h"

#include <algorithm>
#include <chrono>

#include "cuda/kernels/vector.h"
#include "cuda/runtime/inference_cudnn.h"

#include "graph/memory_plan.h"

namespace tvn::cuda {
namespace {

/** A way must be so much faster than the usual one to be chosen: no choice hangs on noise. */
constexpr double clearly_faster = 0.97;
/** A way's time is that of a graph of so many launches: what it takes to launch a kernel is not the kernel's. */
constexpr int tuning_runs = 10;
/** Of one launch; beyond it, one launch tells enough. */
constexpr double plain_ms = 2;

/** Of device, batch and step: what a choice depends on. */
std::string device_prefix(int device) {
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, device), "asking for the GPU's properties");
  return std::string(properties.name) + " | ";
}

}  // namespace

Plan::Plan(const Network& network, const PlanOptions& options) : options_(options), device_(options.device) {
  require_cudnn_if_asked();
  Weights weights;
  inference_ = lower_inference(network, options.batch, vector_chain_resident_blocks(), weights);
  weights_ = weights.upload();
  const Program& program = network.program;
  input_ = program.input;
  output_ = program.output;
  classes_ = program.shape(output_).c;
  clip_bytes_ = static_cast<size_t>(program.shape(input_).size() * options.batch);
  lay_out(program);
  finish_uploads();
  clips_ = PinnedBuffer(clip_bytes_);
  logits_ = PinnedBuffer(inference_.places[static_cast<size_t>(output_)].bytes);
  try_library_ways();
  tune(options.known_choices, options.tuning_seconds);
  launch_steps();  // kernels may be loaded when they are first launched, and not all drivers do that while a graph is recorded
  stream_.synchronize();
  whole_ = Graph(stream_, [&] {
    copy_in();
    launch_steps();
    copy_out();
  });
  kernels_ = Graph(stream_, [&] { launch_steps(); });
  stream_.synchronize();
}

/** A tensor lives from the step that writes it to the last that reads it, itself or under another name. */
void Plan::lay_out(const Program& program) {
  std::vector<Place>& places = inference_.places;
  const auto root = [&](int tensor) { return static_cast<size_t>(root_of(places, tensor)); };
  const int steps = static_cast<int>(inference_.steps.size());
  std::vector<int> first(places.size(), steps), last(places.size(), -1);
  first[root(program.input)] = 0;
  last[root(program.output)] = steps;
  Scratch scratch;
  for (int i = 0; i < steps; i++) {
    const Step& step = inference_.steps[static_cast<size_t>(i)];
    for (const int tensor : step.writes) first[root(tensor)] = std::min(first[root(tensor)], i);
    for (const int tensor : step.writes) last[root(tensor)] = std::max(last[root(tensor)], i);
    for (const int tensor : step.reads) last[root(tensor)] = std::max(last[root(tensor)], i);
    scratch.bytes = std::max(scratch.bytes, step.scratch.bytes);
    scratch.counters = std::max(scratch.counters, step.scratch.counters);
  }
  std::vector<Lifetime> lifetimes;
  std::vector<size_t> tensors;
  for (size_t i = 0; i < places.size(); i++) {
    if (places[i].alias >= 0 || last[i] < 0) continue;
    lifetimes.push_back({places[i].bytes, first[i], last[i]});
    tensors.push_back(i);
  }
  const MemoryPlan memory = plan_memory(lifetimes);
  for (size_t i = 0; i < tensors.size(); i++) places[tensors[i]].offset = memory.offsets[i];
  for (int i = 0; i < steps; i++) {
    size_t live = 0;
    for (const Lifetime& l : lifetimes) live += l.first <= i && i <= l.last ? l.bytes : 0;
    activation_bytes_ = std::max(activation_bytes_, live);
  }
  arena_ = DeviceBuffer(memory.bytes);
  scratch_ = DeviceBuffer(scratch.bytes);
  counters_ = DeviceBuffer(static_cast<size_t>(vector_chain_counters + scratch.counters) * sizeof(int));
  check(cudaMemset(counters_.at<void>(), 0, counters_.bytes()), "clearing counters");
}

Binding Plan::binding() const {
  return {
      inference_.places,  arena_.at<uint8_t>(), weights_.at<uint8_t>(), scratch_.at<uint8_t>(), counters_.at<int>() + vector_chain_counters,
      counters_.at<int>()};
}

void Plan::launch_steps() {
  const Binding binding = this->binding();
  for (const Step& step : inference_.steps) {
    step.launch(binding, step.way, stream_);
    check_launch(step.kernel.c_str());
  }
}

/** What a library cannot launch is left to us, and what it loads at its first launch is there when the graphs are recorded. */
void Plan::try_library_ways() {
  const Binding binding = this->binding();
  for (Step& step : inference_.steps) {
    if (step.library_way == 0) continue;
    try {
      step.launch(binding, step.library_way, stream_);
      check_launch(step.key.c_str());
    } catch (const CudnnError& error) {
      cudaGetLastError();  // of a call within the library; one that broke the device comes again
      tell_cudnn_refusal(step.key, error);
      step.ways.resize(step.library_way);
      step.library_way = 0;
    }
    stream_.synchronize();
  }
}

/** Measures the ways of steps that are not known, the largest first, as long as there is time. */
void Plan::tune(const std::map<std::string, std::string>& known, double seconds) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  const Binding binding = this->binding();
  const std::string prefix = device_prefix(options_.device);
  std::vector<Step*> steps;
  for (Step& step : inference_.steps)
    if (step.ways.size() > 1) steps.push_back(&step);
  std::stable_sort(steps.begin(), steps.end(), [](const Step* a, const Step* b) { return a->macs > b->macs; });

  const auto time = [&](const Step& step, size_t way) {
    const auto launch = [&] {
      step.launch(binding, way, stream_);
      check_launch(step.kernel.c_str());
    };
    launch();  // what the first one loads is not measured
    begin_.record(stream_);
    launch();
    end_.record(stream_);
    stream_.synchronize();
    const double plain = end_.ms_since(begin_);
    if (plain > plain_ms) return plain;
    const Graph runs(stream_, [&] {
      for (int i = 0; i < tuning_runs; i++) launch();
    });
    return std::min(plain, fastest_ms(runs, stream_) / tuning_runs);
  };
  for (Step* const step : steps) {
    const std::string key = prefix + step->key;
    const auto find = [&](const std::map<std::string, std::string>& choices) {
      const auto choice = choices.find(key);
      return choice == choices.end() ? step->ways.end() : std::find(step->ways.begin(), step->ways.end(), choice->second);
    };
    auto way = find(choices_);
    if (way == step->ways.end()) way = find(known);
    if (way == step->ways.end()) {
      if (Clock::now() >= end) continue;  // done as usual, and left to a later plan
      size_t best = 0;
      double best_ms = time(*step, 0) * clearly_faster;
      for (size_t i = 1; i < step->ways.size(); i++) {
        const double ms = time(*step, i);
        if (ms < best_ms) best = i, best_ms = ms;
      }
      way = step->ways.begin() + static_cast<std::ptrdiff_t>(best);
    }
    step->way = static_cast<size_t>(way - step->ways.begin());
    choices_[key] = *way;
  }
}

void Plan::copy_in() {
  check(cudaMemcpyAsync(arena_.at<void>(inference_.places[static_cast<size_t>(input_)].offset), clips_.at<void>(), clip_bytes_,
                        cudaMemcpyHostToDevice, stream_),
        "uploading clips");
}

void Plan::copy_out() {
  const Binding binding = this->binding();
  check(cudaMemcpyAsync(logits_.at<void>(), binding.floats(output_), binding.place(output_).bytes, cudaMemcpyDeviceToHost, stream_),
        "downloading logits");
}

void Plan::take_logits(float* to) const {
  const int64_t stored = stored_channels(static_cast<int>(classes_));
  for (int64_t n = 0; n < options_.batch; n++) std::copy_n(logits_.at<float>() + n * stored, classes_, to + n * classes_);
}

void Plan::run(const uint8_t* clips, float* logits, double* device_ms) {
  device_.use();
  std::copy_n(clips, clip_bytes_, clips_.at<uint8_t>());
  if (!device_ms) {
    whole_.launch(stream_);
    stream_.synchronize();
  } else {
    copy_in();
    begin_.record(stream_);
    kernels_.launch(stream_);
    end_.record(stream_);
    copy_out();
    stream_.synchronize();
    *device_ms = end_.ms_since(begin_);
  }
  take_logits(logits);
}

void Plan::profile(const uint8_t* clips, double* stage_ms) {
  device_.use();
  std::copy_n(clips, clip_bytes_, clips_.at<uint8_t>());
  copy_in();
  const Binding binding = this->binding();
  std::vector<Event> events(inference_.steps.size() + 1);
  events[0].record(stream_);
  for (size_t i = 0; i < inference_.steps.size(); i++) {
    const Step& step = inference_.steps[i];
    step.launch(binding, step.way, stream_);
    check_launch(step.kernel.c_str());
    events[i + 1].record(stream_);
  }
  stream_.synchronize();
  for (size_t i = 0; i < inference_.steps.size(); i++) stage_ms[i] = events[i + 1].ms_since(events[i]);
}

}  // namespace tvn::cuda
