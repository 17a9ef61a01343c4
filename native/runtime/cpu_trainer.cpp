#include "runtime/cpu_trainer.h"

#include <algorithm>

#include "runtime/memory.h"

namespace tvn {
namespace {

/** splitmix64's finaliser. */
uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

}  // namespace

CpuTrainer::CpuTrainer(Graph graph, const ParameterValues& values, const TrainerOptions& options)
    : Trainer(std::move(graph), options),
      options_(options),
      pool_(options.threads),
      loss_(select(options.task == Task::single_label ? softmax_cross_entropy_kernels() : sigmoid_cross_entropy_kernels(), options.isa)),
      sgd_(select(sgd_kernels(), options.isa)),
      add_(select(add_forward_kernels(), options.isa)) {
  size_t bytes = 0;
  for (const ParameterInfo& parameter : program_.parameters)
    bytes += static_cast<size_t>(parameter.size) * (parameter.trainable ? 3 : 1) * sizeof(float);
  require_memory(bytes);
  for (const ParameterInfo& parameter : program_.parameters) {
    const std::span<const float> value = values.at(parameter.name);
    std::copy(value.begin(), value.end(), values_.emplace_back(value.size()).begin());
    for (auto* buffers : {&gradients_, &velocities_}) {
      Buffer<float>& buffer = buffers->emplace_back(parameter.trainable ? value.size() : 0);
      std::fill(buffer.begin(), buffer.end(), 0.0f);
    }
  }
  differentiable_.assign(program_.tensors.size(), 0);
  for (const Node& node : program_.nodes) {
    char& y = differentiable_[static_cast<size_t>(node.output)];
    y = !node.parameters.empty();
    for (const int x : node.inputs) y |= differentiable_[static_cast<size_t>(x)];
  }
}

void CpuTrainer::compile(int64_t batch) {
  batch_ = batch;
  layers_.clear();
  arena_ = {};
  size_t scratch = 0, largest = 0;
  for (const TensorInfo& tensor : program_.tensors) largest = std::max(largest, static_cast<size_t>(batched(tensor.shape, batch).size()));
  require_memory(largest * sizeof(float));
  for (const Node& node : program_.nodes) {
    layers_.push_back(make_layer(program_, node, {batch, Purpose::training, options_.isa, options_.threads}));
    scratch = std::max(scratch, layers_.back()->scratch());
  }
  operands_.assign(layers_.size(), {});
  detours_.assign(layers_.size(), {});
  std::vector<Lifetime> lifetimes{{scratch * sizeof(float), 0, 2 * time_of_loss()}};
  plan_tensors(lifetimes);
  plan_gradients(lifetimes);
  const MemoryPlan plan = plan_memory(lifetimes);
  require_memory(plan.bytes);
  arena_ = Buffer<uint8_t>(plan.bytes);
  std::fill(arena_.begin(), arena_.end(), uint8_t{0});  // page faults now, not in the first step

  const auto address = [&](int lifetime) {
    return lifetime < 0 ? nullptr : reinterpret_cast<float*>(arena_.data() + plan.offsets[static_cast<size_t>(lifetime)]);
  };
  for (size_t i = 0; i < layers_.size(); i++) {
    const Node& node = program_.nodes[i];
    Operands& at = operands_[i];
    for (const int x : node.inputs) at.x.push_back(address(storage_[static_cast<size_t>(x)]));
    at.y = address(storage_[static_cast<size_t>(node.output)]);
    at.scratch = address(0);
    at.dy = address(gradient_storage_[static_cast<size_t>(node.output)]);
    for (const int x : node.inputs) at.dx.push_back(address(gradient_storage_[static_cast<size_t>(x)]));
    for (Detour& detour : detours_[i]) {
      detour.dx = at.dx[detour.input];
      at.dx[detour.input] = address(detour.lifetime);
    }
    for (const int p : node.parameters) {
      at.parameters.push_back(p < 0 ? nullptr : values_[static_cast<size_t>(p)].data());
      at.parameter_gradients.push_back(p < 0 ? nullptr : gradients_[static_cast<size_t>(p)].data());
    }
  }
}

/** Activations: from the layer that writes them to the last that reads them, backward included. */
void CpuTrainer::plan_tensors(std::vector<Lifetime>& lifetimes) {
  std::vector<int> last(program_.tensors.size(), 0);
  const auto extend = [&](int tensor, int time) { last[static_cast<size_t>(tensor)] = std::max(last[static_cast<size_t>(tensor)], time); };
  for (size_t i = 0; i < layers_.size(); i++) {
    const Node& node = program_.nodes[i];
    const bool learns = differentiable_[static_cast<size_t>(node.output)] != 0;
    for (const int x : node.inputs) extend(x, learns && layers_[i]->keeps_x() ? time_of_backward(i) : static_cast<int>(i));
    extend(node.output, learns && layers_[i]->keeps_y() ? time_of_backward(i) : static_cast<int>(i));
  }
  extend(program_.output, time_of_loss());

  storage_.assign(program_.tensors.size(), -1);
  for (size_t i = 0; i < layers_.size(); i++) {
    const Node& node = program_.nodes[i];
    const size_t y = static_cast<size_t>(node.output);
    const int shared = storage_[static_cast<size_t>(node.inputs[0])];
    if (layers_[i]->in_place() && shared >= 0 && lifetimes[static_cast<size_t>(shared)].last == static_cast<int>(i)) {
      storage_[y] = shared;
      lifetimes[static_cast<size_t>(shared)].last = last[y];
      continue;
    }
    storage_[y] = static_cast<int>(lifetimes.size());
    lifetimes.push_back({bytes_of(node.output), static_cast<int>(i), last[y]});
  }
}

/** Gradients: from the first layer (going backward) that contributes to the backward pass of the layer that wrote the tensor. */
void CpuTrainer::plan_gradients(std::vector<Lifetime>& lifetimes) {
  gradient_storage_.assign(program_.tensors.size(), -1);
  gradient_storage_[static_cast<size_t>(program_.output)] = static_cast<int>(lifetimes.size());
  lifetimes.push_back({bytes_of(program_.output), time_of_loss(), time_of_loss()});
  for (size_t i = layers_.size(); i-- > 0;) {
    const Node& node = program_.nodes[i];
    const Layer& layer = *layers_[i];
    const int dy = gradient_storage_[static_cast<size_t>(node.output)], now = time_of_backward(i);
    operands_[i].accumulate.assign(node.inputs.size(), 0);
    if (dy < 0) continue;  // nothing to learn before it, or nothing after it reaches the loss
    lifetimes[static_cast<size_t>(dy)].last = now;
    for (size_t input = node.inputs.size(); input-- > 0;) {
      const size_t x = static_cast<size_t>(node.inputs[input]);
      int& dx = gradient_storage_[x];
      const bool accumulate = dx >= 0;
      if (!layer.accumulates() && (accumulate || !differentiable_[x])) {
        detours_[i].push_back({input, nullptr, static_cast<int>(lifetimes.size())});
        lifetimes.push_back({bytes_of(node.inputs[input]), now, now});
      } else if (accumulate) {
        operands_[i].accumulate[input] = 1;
      }
      if (accumulate || !differentiable_[x]) continue;
      if (layer.in_place() && input == 0) {
        dx = dy;  // dy ends here; its storage goes on as dx
      } else {
        dx = static_cast<int>(lifetimes.size());
        lifetimes.push_back({bytes_of(node.inputs[input]), now, now});
      }
    }
  }
}

StepResult CpuTrainer::step(const uint8_t* clips, int64_t batch, const int32_t* labels, float rate, float* logits) {
  if (batch != batch_) {
    try {
      compile(batch);
    } catch (...) {
      batch_ = 0;  // the next step compiles again
      throw;
    }
  }
  const Run run{pool_, mix(options_.seed + mix(++steps_))};
  for (size_t i = 0; i < layers_.size(); i++) {
    Operands& at = operands_[i];
    if (program_.nodes[i].inputs[0] == program_.input) at.x[0] = reinterpret_cast<const float*>(clips);
    layers_[i]->pack(at, pool_);
    layers_[i]->forward(at, run);
  }
  const Node& head = program_.nodes[static_cast<size_t>(program_.tensors[static_cast<size_t>(program_.output)].producer)];
  const Operands& last = operands_[static_cast<size_t>(&head - program_.nodes.data())];
  const double loss = loss_.run(batch, classes(), {last.y, labels, options_.label_smoothing, const_cast<float*>(last.dy)});
  std::copy(last.y, last.y + batch * classes(), logits);
  backward(run);
  update(rate);
  return {loss};
}

void CpuTrainer::read(size_t parameter, bool of_gradient, float* to) const {
  const std::span<const float> from = of_gradient ? gradient(parameter) : value(parameter);
  std::copy(from.begin(), from.end(), to);
}

void CpuTrainer::backward(const Run& run) {
  for (size_t i = layers_.size(); i-- > 0;) {
    const Operands& at = operands_[i];
    if (!at.dy) continue;
    layers_[i]->backward(at, run);
    for (const Detour& detour : detours_[i]) {
      const int64_t size = batched(program_.shape(program_.nodes[i].inputs[detour.input]), batch_).size();
      if (detour.dx) add_.run(size, {detour.dx, at.dx[detour.input], Function::none, detour.dx}, pool_);
    }
  }
}

void CpuTrainer::update(float rate) {
  for (size_t p = 0; p < values_.size(); p++) {
    const ParameterInfo& parameter = program_.parameters[p];
    if (!parameter.trainable) continue;
    const float decay = parameter.name.ends_with(".weight") ? options_.weight_decay : 0;
    sgd_.run(parameter.size,
             {values_[p].data(), velocities_[p].data(), gradients_[p].data(), rate, options_.momentum, decay, options_.nesterov}, pool_);
  }
}

}  // namespace tvn
