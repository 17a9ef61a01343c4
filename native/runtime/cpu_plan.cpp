#include "runtime/cpu_plan.h"

#include <immintrin.h>

#include <algorithm>
#include <optional>

#include "core/clock.h"
#include "runtime/memory.h"

namespace tvn {

CpuPlan::CpuPlan(Graph graph, ParameterValues values, const CpuPlanOptions& options) : options_(options), pool_(options.threads) {
  require_precision(options.precision, options.isa);
  check(graph);  // the passes rely on a legal graph
  Graph fused = graph;
  fuse_for_inference(fused, values, options.passes);
  program_ = check(fused);
  size_t largest = 0, weights = 0;
  for (const TensorInfo& tensor : program_.tensors)
    largest = std::max(largest, static_cast<size_t>(batched(tensor.shape, options.batch).size()));
  for (const ParameterInfo& parameter : program_.parameters) weights += static_cast<size_t>(parameter.size);
  require_memory((largest + weights) * sizeof(float));
  const LayerOptions how{options.batch, Purpose::inference, options.isa, options.threads, options.precision};
  for (const Node& node : program_.nodes) layers_.push_back(make_layer(program_, node, how));
  std::vector<Operands> parameters = bind_parameters(values);
  Tuner tuner(program_, layers_, parameters, how, options.bands, options.tuning, pool_);
  std::vector<Step> steps = tuner.steps();
  choices_ = tuner.choices();
  pack(parameters);
  layout_ = std::make_unique<Layout>(program_, layers_, std::move(steps), options.batch, std::move(parameters));
  for (const Step& step : layout_->steps()) stages_.push_back(describe(program_, layers_, step, how));
  sort_ops(stages_, graph);
}

/** By layer; those that pack will read are bound to the values themselves. */
std::vector<Operands> CpuPlan::bind_parameters(const ParameterValues& values) {
  std::vector<Operands> bound(layers_.size());
  for (size_t i = 0; i < layers_.size(); i++) {
    const Node& node = program_.nodes[i];
    for (size_t slot = 0; slot < node.parameters.size(); slot++) {
      const int index = node.parameters[slot];
      if (index < 0) {
        bound[i].parameters.push_back(nullptr);
        continue;
      }
      const std::span<const float> value = values.at(program_.parameters[static_cast<size_t>(index)].name);
      if (layers_[i]->packs(slot)) {
        bound[i].parameters.push_back(const_cast<float*>(value.data()));
        continue;
      }
      Buffer<float>& copy = parameters_.emplace_back(value.size());
      std::copy(value.begin(), value.end(), copy.begin());
      bound[i].parameters.push_back(copy.data());
      weight_bytes_ += value.size_bytes();
    }
  }
  return bound;
}

void CpuPlan::pack(std::vector<Operands>& parameters) {
  for (size_t i = 0; i < layers_.size(); i++) {
    Layer& layer = *layers_[i];
    layer.pack(parameters[i], pool_);
    weight_bytes_ += layer.packed().size_bytes();
    for (size_t slot = 0; slot < parameters[i].parameters.size(); slot++)
      if (layer.packs(slot)) parameters[i].parameters[slot] = nullptr;
  }
}

void CpuPlan::run(const uint8_t* clips, float* logits) {
  layout_->set_clips(clips);
  for (const Step& step : layout_->steps()) layout_->run(step, pool_);
  std::copy_n(layout_->logits(), logits_size(), logits);
}

void CpuPlan::profile(const uint8_t* clips, double* stage_ms) {
  layout_->set_clips(clips);
  for (const Step& step : layout_->steps()) {
    const auto begin = Clock::now();
    layout_->run(step, pool_);
    *stage_ms++ = ms_since(begin);
  }
}

RunTimes CpuPlan::measure(const MeasureOptions& options) {
  std::optional<PinnedThread> pinned;
  if (options.core >= 0) {
    pool_.pin(options.core);
    pinned.emplace(options.core);
  }
  const size_t clip = static_cast<size_t>(clip_bytes()), variants = options.clips.size() / clip;
  Buffer<float> logits(static_cast<size_t>(logits_size()));
  std::vector<double> times(static_cast<size_t>(options.runs));
  for (size_t i = 0; i < times.size(); i++) {
    if (options.cold) evict();
    const auto begin = Clock::now();
    run(options.clips.data() + i % variants * clip, logits.data());
    times[i] = ms_since(begin);
  }
  pinned.reset();
  if (options.core >= 0) pool_.unpin();
  return {std::move(times), {}};
}

PlanMemory CpuPlan::memory() const {
  return {weight_bytes_, layout().arena().size_bytes(), layout_->activation_bytes(), layout_->scratch_bytes()};
}

void CpuPlan::evict() const {
  const auto flush = [](std::span<const float> floats) {
    const char* begin = reinterpret_cast<const char*>(floats.data());
    for (size_t i = 0; i < floats.size_bytes(); i += cache_line) _mm_clflush(begin + i);
  };
  flush(layout_->arena());
  for (const Buffer<float>& parameter : parameters_) flush({parameter.data(), parameter.size()});
  for (const auto& layer : layers_) flush(layer->packed());
  _mm_mfence();
}

}  // namespace tvn
