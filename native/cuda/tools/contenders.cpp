#include "cuda/tools/contenders.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/clock.h"
#include "runtime/cpu_plan.h"
#include "runtime/cpu_trainer.h"

namespace tvn::cuda::tools {
namespace {

constexpr float rate = 1e-4f;

TrainerOptions training_options() {
  return {cpu_threads(),          allowed_isa(),     Task::single_label, /*label_smoothing=*/0.0f,
          /*dropout=*/0.0f,       /*momentum=*/0.9f, /*nesterov=*/true,
          /*weight_decay=*/1e-4f, /*seed=*/1};
}

/** The largest difference relative to the largest wanted value; infinite where something is not a number. */
double error_of(std::span<const float> got, std::span<const float> want) {
  double largest = 1e-6, worst = 0;
  for (const float w : want) largest = std::max(largest, std::fabs(static_cast<double>(w)));
  for (size_t i = 0; i < want.size(); i++) {
    const double difference = std::fabs(static_cast<double>(got[i]) - static_cast<double>(want[i]));
    if (!std::isfinite(difference)) return std::numeric_limits<double>::infinity();
    worst = std::max(worst, difference);
  }
  return worst / largest;
}

/** Of the differences and of what is wanted: sums. */
std::pair<double, double> squares(std::span<const float> want, std::span<const float> got) {
  double difference = 0, size = 1e-300;
  for (size_t i = 0; i < want.size(); i++) {
    const double x = static_cast<double>(want[i]), d = static_cast<double>(got[i]) - x;
    difference += d * d;
    size += x * x;
  }
  return {difference, size};
}

/** To 11 bits; weights are neither so small nor so large that a half has fewer. */
float rounded_to_half(float value) {
  if (value == 0) return value;
  int exponent = 0;
  std::frexp(value, &exponent);
  const float unit = std::ldexp(1.0f, exponent - 11);
  return std::nearbyint(value / unit) * unit;
}

}  // namespace

void Contender::warm_up(double seconds, int most) {
  const auto end = in_seconds(seconds);
  for (int i = 0; i < most && (i < 10 || Clock::now() < end); i++) run();
}

Contender::Block Contender::block(int runs) {
  Block block;
  for (int i = 0; i < runs; i++) {
    const auto begin = Clock::now();
    run();
    block.host.push_back(ms_since(begin));
  }
  for (int i = 0; i < runs; i++) {
    const double ms = run_on_device();
    if (ms < 0) break;
    block.device.push_back(ms);
  }
  return block;
}

Inference::Inference(const TvnCudaBackend& backend, const Subject& subject, int64_t batch, const Tuning& tuning)
    : plan_(backend, subject.graph, subject.values(), {0, batch, all_passes, tuning}),
      batch_(batch),
      clips_(subject.clips(batch)),
      logits_(static_cast<size_t>(plan_.logits_size())) {}

double Inference::run_on_device() { return plan_.measure({1, clips_, false, -1}).device.at(0); }

std::vector<double> Inference::profile(int runs) {
  std::vector<std::vector<double>> stages(plan_.stages().size());
  std::vector<double> ms(stages.size());
  for (int i = 0; i < runs; i++) {
    plan_.profile(clips_.data(), ms.data());
    for (size_t k = 0; k < ms.size(); k++) stages[k].push_back(ms[k]);
  }
  for (size_t k = 0; k < ms.size(); k++) ms[k] = summarize(stages[k]).median;
  return ms;
}

double Inference::error(const Subject& subject) {
  run();
  CpuPlan cpu(subject.graph, subject.values(), {1, cpu_threads(), allowed_isa()});
  const size_t classes = logits_.size() / static_cast<size_t>(batch_), clip = clips_.size() / static_cast<size_t>(batch_);
  std::vector<float> want(classes);
  double worst = 0;
  for (const int64_t n : {int64_t{0}, batch_ / 2, batch_ - 1}) {
    cpu.run(clips_.data() + static_cast<size_t>(n) * clip, want.data());
    worst = std::max(worst, error_of(std::span(logits_).subspan(static_cast<size_t>(n) * classes, classes), want));
  }
  return worst;
}

Training::Training(const TvnCudaBackend& backend, const Subject& subject, int64_t batch)
    : trainer_(backend, 0, subject.graph, subject.values(), training_options()),
      batch_(batch),
      clips_(subject.clips(batch)),
      labels_(subject.labels(batch)),
      logits_(static_cast<size_t>(batch * trainer_.classes())) {}

void Training::run() { trainer_.step(clips_.data(), batch_, labels_.data(), rate, logits_.data()); }

TrainingErrors training_errors(const TvnCudaBackend& backend, const Subject& subject, int64_t batch) {
  const auto clips = subject.clips(batch);
  const auto labels = subject.labels(batch);
  const auto run = [&](Trainer& trainer) {
    std::vector<float> logits(static_cast<size_t>(batch * trainer.classes()));
    const StepResult result = trainer.step(clips.data(), batch, labels.data(), rate, logits.data());
    return std::pair(result, logits);
  };
  CpuTrainer cpu(subject.graph, subject.values(), training_options());
  const auto [want, want_logits] = run(cpu);
  const auto errors_of = [&, &loss = want.loss, &logits_wanted = want_logits](Trainer& trainer, const StepResult& got,
                                                                              const std::vector<float>& logits) {
    StepErrors errors{std::fabs(got.loss - loss) / std::max(1e-6, std::fabs(loss)), error_of(logits, logits_wanted), 0, 0};
    double difference = 0, size = 0;
    for (size_t p = 0; p < cpu.parameters().size(); p++) {
      const ParameterInfo& parameter = cpu.parameters()[p];
      if (!parameter.trainable) continue;
      std::vector<float> a(static_cast<size_t>(parameter.size)), b(a.size());
      cpu.read(p, true, a.data());
      trainer.read(p, true, b.data());
      const auto [own_difference, own_size] = squares(a, b);
      difference += own_difference;
      size += own_size;
      if (parameter.name == "head.weight") errors.head = std::sqrt(own_difference / own_size);
    }
    errors.gradients = std::sqrt(difference / size);
    return errors;
  };
  TrainingErrors errors{};
  {
    CudaTrainer gpu(backend, 0, subject.graph, subject.values(), training_options());
    const auto [got, logits] = run(gpu);
    errors.found = errors_of(gpu, got, logits);
    errors.skipped = got.skipped;
  }
  Subject rounded = subject;
  for (auto& [name, values] : rounded.parameters)
    if (name.ends_with(".weight"))
      for (float& value : values) value = rounded_to_half(value);
  CpuTrainer other(rounded.graph, rounded.values(), training_options());
  const auto [got, logits] = run(other);
  errors.inherent = errors_of(other, got, logits);
  return errors;
}

}  // namespace tvn::cuda::tools
