#include "runtime/plan.h"

#include <immintrin.h>

#include <algorithm>
#include <chrono>
#include <map>

#include "graph/memory_plan.h"
#include "runtime/dispatch.h"
#include "runtime/memory.h"

namespace tvn {
namespace {

/** Of one clip: "2×9×9×3 → 2×5×5×8, kernel 1×3×3, stride 1×2×2". */
std::string describe_shapes(const Program& program, const Node& node) {
  std::string text;
  for (const int x : node.inputs)
    if (x >= 0) text += (text.empty() ? "" : " + ") + to_string(program.shape(x));
  text += " → " + to_string(program.shape(node.output));
  const auto extent = [](const Int3& e) { return std::to_string(e.t) + "×" + std::to_string(e.h) + "×" + std::to_string(e.w); };
  if (node.kind == OpKind::conv || node.kind == OpKind::depthwise || node.kind == OpKind::pool) {
    text += ", kernel " + extent(node.attributes.kernel);
    if (!is_one(node.attributes.stride)) text += ", stride " + extent(node.attributes.stride);
  }
  return text;
}

/** The largest sum of two activations that live at one time. */
size_t largest_pair(const std::vector<Lifetime>& lifetimes, int steps) {
  size_t most = 0;
  for (int step = 0; step < steps; step++) {
    size_t first = 0, second = 0;
    for (const Lifetime& l : lifetimes) {
      if (l.first > step || l.last < step || l.bytes <= second) continue;
      second = std::min(first, l.bytes);
      first = std::max(first, l.bytes);
    }
    most = std::max(most, first + second);
  }
  return most;
}

}  // namespace

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
  for (const Node& node : program_.nodes)
    layers_.push_back(make_layer(program_, node, {options.batch, Purpose::inference, options.isa, options.threads, options.precision}));
  operands_.resize(layers_.size());
  make_steps();
  bind_parameters(values);
  bind_tensors();
  describe(graph);
}

void Plan::make_steps() {
  for (size_t first = 0; first < layers_.size(); first = steps_.back().end) {
    std::optional<Band> band = Band::find(program_, layers_, first, options_.batch, options_.threads, options_.bands);
    const size_t size = band ? band->size() : 1;
    steps_.push_back({first, first + size, std::move(band)});
  }
}

void Plan::bind_parameters(const ParameterValues& values) {
  for (size_t i = 0; i < layers_.size(); i++) {
    const Node& node = program_.nodes[i];
    Operands& at = operands_[i];
    for (size_t slot = 0; slot < node.parameters.size(); slot++) {
      const int index = node.parameters[slot];
      if (index < 0) {
        at.parameters.push_back(nullptr);
        continue;
      }
      const std::span<const float> value = values.at(program_.parameters[static_cast<size_t>(index)].name);
      if (layers_[i]->packs(slot)) {
        at.parameters.push_back(const_cast<float*>(value.data()));  // read by pack below, then forgotten
        continue;
      }
      Buffer<float>& copy = parameters_.emplace_back(value.size());
      std::copy(value.begin(), value.end(), copy.begin());
      at.parameters.push_back(copy.data());
      weight_bytes_ += value.size_bytes();
    }
    layers_[i]->pack(at, pool_);
    weight_bytes_ += layers_[i]->packed().size_bytes();
    for (size_t slot = 0; slot < at.parameters.size(); slot++)
      if (layers_[i]->packs(slot)) at.parameters[slot] = nullptr;
  }
}

void Plan::bind_tensors() {
  // A tensor lives from the step that writes it to the last that reads it; a layer that works in place hands its storage on. What lies
  // inside a band is no tensor.
  const int end = static_cast<int>(steps_.size());
  std::vector<int> last(program_.tensors.size(), 0), storage(program_.tensors.size(), -1);
  for (int i = 0; i < end; i++)
    for (size_t layer = steps_[static_cast<size_t>(i)].first; layer < steps_[static_cast<size_t>(i)].end; layer++)
      for (const int x : program_.nodes[layer].inputs)
        if (x >= 0) last[static_cast<size_t>(x)] = i;
  last[static_cast<size_t>(program_.output)] = end;

  std::vector<Lifetime> lifetimes;
  size_t scratch = 0;
  for (int i = 0; i < end; i++) {
    const Step& step = steps_[static_cast<size_t>(i)];
    const Node& node = program_.nodes[step.end - 1];
    const Layer& layer = *layers_[step.first];
    scratch = std::max(scratch, step.band ? step.band->scratch() : layer.scratch());
    const size_t x = static_cast<size_t>(node.inputs[0]), y = static_cast<size_t>(node.output);
    const int shared = storage[x];
    if (!step.band && layer.in_place() && shared >= 0 && lifetimes[static_cast<size_t>(shared)].last == i) {
      storage[y] = shared;
      lifetimes[static_cast<size_t>(shared)].last = last[y];
      continue;
    }
    storage[y] = static_cast<int>(lifetimes.size());
    lifetimes.push_back({static_cast<size_t>(batched(program_.shape(node.output), options_.batch).size()) * sizeof(float), i, last[y]});
  }
  activation_bytes_ = largest_pair(lifetimes, end);
  scratch_bytes_ = scratch * sizeof(float);
  lifetimes.push_back({scratch_bytes_, 0, end});

  const MemoryPlan plan = plan_memory(lifetimes);
  require_memory(plan.bytes);  // the weights have theirs already
  arena_ = Buffer<uint8_t>(plan.bytes);
  std::fill(arena_.begin(), arena_.end(), uint8_t{0});  // page faults now, not in the first run
  const auto address = [&](size_t lifetime) { return reinterpret_cast<float*>(arena_.data() + plan.offsets[lifetime]); };
  const auto tensor = [&](int index) -> float* {
    if (index < 0 || storage[static_cast<size_t>(index)] < 0) return nullptr;
    return address(static_cast<size_t>(storage[static_cast<size_t>(index)]));
  };
  for (size_t i = 0; i < layers_.size(); i++) {
    const Node& node = program_.nodes[i];
    for (const int x : node.inputs) operands_[i].x.push_back(tensor(x));
    operands_[i].y = tensor(node.output);
    operands_[i].scratch = address(lifetimes.size() - 1);
    if (node.inputs[0] == program_.input) clip_readers_.push_back(i);
  }
  logits_ = tensor(program_.output);
}

void Plan::describe(const Graph& before) {
  std::map<std::string, size_t> place;  // in the graph as it was
  for (size_t i = 0; i < before.ops.size(); i++) place[before.ops[i].name] = i;
  const LayerOptions how{options_.batch, Purpose::inference, options_.isa, options_.threads, options_.precision};
  for (const Step& step : steps_) {
    Stage stage{};
    int64_t most = -1;
    for (size_t i = step.first; i < step.end; i++) {
      const Node& node = program_.nodes[i];
      const std::string arrow = i > step.first ? " ⇒ " : "", kernel = layers_[i]->kernel();
      stage.name += arrow + node.name;
      stage.shape += arrow + describe_shapes(program_, node);
      stage.kernel += arrow + kernel;
      stage.ops.insert(stage.ops.end(), node.absorbed.begin(), node.absorbed.end());
      stage.ops.push_back(node.name);
      const auto refused = refused_kernels(program_, node, how, kernel);
      stage.refused.insert(stage.refused.end(), refused.begin(), refused.end());
      const int64_t macs = multiply_accumulates(program_, node) * options_.batch;
      stage.macs += macs;
      if (macs > most) stage.kind = row(node.kind).kind;
      most = std::max(most, macs);
      for (const int x : node.inputs)
        if (x >= 0 && (i == step.first || x != program_.nodes[i - 1].output))
          stage.bytes += batched(program_.shape(x), options_.batch).size() * (x == program_.input ? 1 : 4);
      for (const int p : node.parameters)
        if (p >= 0) stage.bytes += program_.parameters[static_cast<size_t>(p)].size * 4;
    }
    stage.bytes += batched(program_.shape(program_.nodes[step.end - 1].output), options_.batch).size() * 4;
    std::erase_if(stage.ops, [&](const std::string& name) { return !place.contains(name); });
    std::sort(stage.ops.begin(), stage.ops.end(), [&](const std::string& a, const std::string& b) { return place[a] < place[b]; });
    stages_.push_back(std::move(stage));
  }
}

void Plan::run_step(const Step& step) {
  const std::span<const Operands> at(operands_.data() + step.first, step.end - step.first);
  if (step.band)
    step.band->run(at, at[0].scratch, pool_);
  else
    layers_[step.first]->forward(at[0], {pool_, 0});
}

void Plan::run(const uint8_t* clips, float* logits) {
  for (const size_t i : clip_readers_) operands_[i].x[0] = reinterpret_cast<const float*>(clips);
  for (const Step& step : steps_) run_step(step);
  std::copy(logits_, logits_ + logits_size(), logits);
}

void Plan::profile(const uint8_t* clips, double* stage_ms) {
  for (const size_t i : clip_readers_) operands_[i].x[0] = reinterpret_cast<const float*>(clips);
  for (size_t i = 0; i < steps_.size(); i++) {
    const auto begin = std::chrono::steady_clock::now();
    run_step(steps_[i]);
    stage_ms[i] = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
  }
}

void Plan::evict() const {
  const auto flush = [](const void* begin, size_t bytes) {
    for (size_t i = 0; i < bytes; i += cache_line) _mm_clflush(static_cast<const char*>(begin) + i);
  };
  flush(arena_.data(), arena_.size());
  for (const Buffer<float>& parameter : parameters_) flush(parameter.data(), parameter.size() * sizeof(float));
  for (const auto& layer : layers_) {
    const std::span<const float> packed = layer->packed();
    flush(packed.data(), packed.size_bytes());
  }
  _mm_mfence();
}

}  // namespace tvn
