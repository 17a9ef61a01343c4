#include "runtime/layout.h"

#include <algorithm>

#include "graph/memory_plan.h"
#include "runtime/memory.h"

namespace tvn {
namespace {

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

std::vector<Step> make_steps(const Program& program, const Layers& layers, int64_t batch, int threads, const BandLimits& limits) {
  std::vector<Step> steps;
  for (size_t first = 0; first < layers.size(); first = steps.back().end) {
    std::optional<Band> band = Band::find(program, layers, first, batch, threads, limits);
    const size_t size = band ? band->size() : 1;
    steps.push_back({first, first + size, std::move(band), {}});
  }
  return steps;
}

Layout::Layout(const Program& program, const Layers& layers, std::vector<Step> steps, int64_t batch, std::vector<Operands> parameters,
               size_t least_scratch)
    : layers_(layers), steps_(std::move(steps)), operands_(std::move(parameters)) {
  // A tensor lives from the step that writes it to the last that reads it; a layer that works in place hands its storage on. What lies
  // inside a band is no tensor.
  const int end = static_cast<int>(steps_.size());
  std::vector<int> last(program.tensors.size(), 0), storage(program.tensors.size(), -1);
  for (int i = 0; i < end; i++)
    for (size_t layer = steps_[static_cast<size_t>(i)].first; layer < steps_[static_cast<size_t>(i)].end; layer++)
      for (const int x : program.nodes[layer].inputs)
        if (x >= 0) last[static_cast<size_t>(x)] = i;
  last[static_cast<size_t>(program.output)] = end;

  std::vector<Lifetime> lifetimes;
  size_t scratch = least_scratch;
  for (int i = 0; i < end; i++) {
    const Step& step = steps_[static_cast<size_t>(i)];
    const Node& node = program.nodes[step.end - 1];
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
    lifetimes.push_back({static_cast<size_t>(batched(program.shape(node.output), batch).size()) * sizeof(float), i, last[y]});
  }
  activation_bytes_ = largest_pair(lifetimes, end);
  scratch_bytes_ = scratch * sizeof(float);
  lifetimes.push_back({scratch_bytes_, 0, end});

  const MemoryPlan plan = plan_memory(lifetimes);
  require_memory(plan.bytes);  // the weights have theirs already
  arena_ = Buffer<float>(plan.bytes / sizeof(float));
  std::fill(arena_.begin(), arena_.end(), 0.0f);  // page faults now, not in the first run
  const auto address = [&](size_t lifetime) { return arena_.data() + plan.offsets[lifetime] / sizeof(float); };
  const auto tensor = [&](int index) -> float* {
    if (index < 0 || storage[static_cast<size_t>(index)] < 0) return nullptr;
    return address(static_cast<size_t>(storage[static_cast<size_t>(index)]));
  };
  for (size_t i = 0; i < layers_.size(); i++) {
    const Node& node = program.nodes[i];
    for (const int x : node.inputs) operands_[i].x.push_back(tensor(x));
    operands_[i].y = tensor(node.output);
    operands_[i].scratch = address(lifetimes.size() - 1);
    if (node.inputs[0] == program.input) clip_readers_.push_back(i);
  }
  logits_ = tensor(program.output);
}

void Layout::set_clips(const uint8_t* clips) {
  for (const size_t i : clip_readers_) operands_[i].x[0] = reinterpret_cast<const float*>(clips);
}

void Layout::run(const Step& step, ThreadPool& pool) const {
  const std::span<const Operands> at(operands_.data() + step.first, step.size());
  if (step.band)
    step.band->run(at, at[0].scratch, pool);
  else
    layers_[step.first]->forward(at[0], {pool, 0});
}

}  // namespace tvn
