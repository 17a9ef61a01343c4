#include "runtime/plan.h"

#include <immintrin.h>

#include <algorithm>
#include <map>

#include "core/clock.h"
#include "runtime/memory.h"

namespace tvn {

Plan::Plan(Graph graph, ParameterValues values, const PlanOptions& options) : options_(options), pool_(options.threads) {
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
  describe_steps(graph, how);
}

/** By layer; those that pack will read are bound to the values themselves. */
std::vector<Operands> Plan::bind_parameters(const ParameterValues& values) {
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

void Plan::pack(std::vector<Operands>& parameters) {
  for (size_t i = 0; i < layers_.size(); i++) {
    Layer& layer = *layers_[i];
    layer.pack(parameters[i], pool_);
    weight_bytes_ += layer.packed().size_bytes();
    for (size_t slot = 0; slot < parameters[i].parameters.size(); slot++)
      if (layer.packs(slot)) parameters[i].parameters[slot] = nullptr;
  }
}

void Plan::describe_steps(const Graph& before, const LayerOptions& how) {
  std::map<std::string, size_t> place;  // in the graph as it was
  for (size_t i = 0; i < before.ops.size(); i++) place[before.ops[i].name] = i;
  for (const Step& step : layout_->steps()) {
    Stage stage = describe(program_, layers_, step, how);
    std::erase_if(stage.ops, [&](const std::string& name) { return !place.contains(name); });
    std::sort(stage.ops.begin(), stage.ops.end(), [&](const std::string& a, const std::string& b) { return place[a] < place[b]; });
    stages_.push_back(std::move(stage));
  }
}

void Plan::run(const uint8_t* clips, float* logits) {
  layout_->set_clips(clips);
  for (const Step& step : layout_->steps()) layout_->run(step, pool_);
  std::copy_n(layout_->logits(), logits_size(), logits);
}

void Plan::profile(const uint8_t* clips, double* stage_ms) {
  layout_->set_clips(clips);
  for (const Step& step : layout_->steps()) {
    const auto begin = Clock::now();
    layout_->run(step, pool_);
    *stage_ms++ = ms_since(begin);
  }
}

void Plan::evict() const {
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
