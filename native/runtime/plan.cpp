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
  bind_parameters(values);
  bind_tensors();
  describe(graph);
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
  // a tensor lives from the layer that writes it to the last that reads it; a layer that works in place hands its storage on
  const int end = static_cast<int>(layers_.size());
  std::vector<int> last(program_.tensors.size(), 0), storage(program_.tensors.size(), -1);
  for (int i = 0; i < end; i++)
    for (const int x : program_.nodes[static_cast<size_t>(i)].inputs)
      if (x >= 0) last[static_cast<size_t>(x)] = i;
  last[static_cast<size_t>(program_.output)] = end;

  std::vector<Lifetime> lifetimes;
  size_t scratch = 0;
  for (int i = 0; i < end; i++) {
    const Node& node = program_.nodes[static_cast<size_t>(i)];
    const Layer& layer = *layers_[static_cast<size_t>(i)];
    scratch = std::max(scratch, layer.scratch());
    const size_t x = static_cast<size_t>(node.inputs[0]), y = static_cast<size_t>(node.output);
    const int shared = storage[x];
    if (layer.in_place() && shared >= 0 && lifetimes[static_cast<size_t>(shared)].last == i) {
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
  for (size_t i = 0; i < layers_.size(); i++) {
    const Node& node = program_.nodes[i];
    std::vector<std::string> ops = node.absorbed;
    ops.push_back(node.name);
    std::erase_if(ops, [&](const std::string& name) { return !place.contains(name); });
    std::sort(ops.begin(), ops.end(), [&](const std::string& a, const std::string& b) { return place[a] < place[b]; });
    int64_t bytes = batched(program_.shape(node.output), options_.batch).size() * 4;
    for (const int x : node.inputs)
      if (x >= 0) bytes += batched(program_.shape(x), options_.batch).size() * (x == program_.input ? 1 : 4);
    for (const int p : node.parameters)
      if (p >= 0) bytes += program_.parameters[static_cast<size_t>(p)].size * 4;
    const LayerOptions how{options_.batch, Purpose::inference, options_.isa, options_.threads, options_.precision};
    stages_.push_back({node.name, std::move(ops), std::string(row(node.kind).kind), describe_shapes(program_, node), layers_[i]->kernel(),
                       refused_kernels(program_, node, how, layers_[i]->kernel()), multiply_accumulates(program_, node) * options_.batch,
                       bytes});
  }
}

void Plan::run(const uint8_t* clips, float* logits) {
  for (const size_t i : clip_readers_) operands_[i].x[0] = reinterpret_cast<const float*>(clips);
  const Run run{pool_, 0};
  for (size_t i = 0; i < layers_.size(); i++) layers_[i]->forward(operands_[i], run);
  std::copy(logits_, logits_ + logits_size(), logits);
}

void Plan::profile(const uint8_t* clips, double* stage_ms) {
  for (const size_t i : clip_readers_) operands_[i].x[0] = reinterpret_cast<const float*>(clips);
  const Run run{pool_, 0};
  for (size_t i = 0; i < layers_.size(); i++) {
    const auto begin = std::chrono::steady_clock::now();
    layers_[i]->forward(operands_[i], run);
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
