#include "cuda/runtime/trainer.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/error.h"
#include "cuda/kernels/head.h"

namespace tvn::cuda {
namespace {

constexpr float running_decay = 0.9f;
/** Small enough that the first steps of fresh weights are not skipped, large enough that their gradients do not vanish in fp16. */
constexpr float first_loss_scale = 4096;
constexpr int growth_interval = 2000;

/** splitmix64's finaliser, as on the CPU. */
uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

size_t aligned(size_t bytes) { return (bytes + 255) / 256 * 256; }

template <class T>
DeviceBuffer upload(const std::vector<T>& values) {
  DeviceBuffer buffer(values.size() * sizeof(T));
  if (!values.empty()) check(cudaMemcpy(buffer.at<void>(), values.data(), buffer.bytes(), cudaMemcpyHostToDevice), "uploading parameters");
  return buffer;
}

DeviceBuffer zeros(size_t bytes) {
  DeviceBuffer buffer(bytes);
  if (bytes > 0) check(cudaMemset(buffer.at<void>(), 0, bytes), "clearing memory");
  return buffer;
}

/** One a tensor: whether some trainable parameter lies before it. */
std::vector<char> find_differentiable(const Program& program) {
  std::vector<char> result(program.tensors.size());
  for (const Node& node : program.nodes) {
    bool before = false;
    for (const int p : node.parameters) before |= p >= 0 && program.parameters[static_cast<size_t>(p)].trainable;
    for (const int x : node.inputs) before |= x >= 0 && result[static_cast<size_t>(x)] != 0;
    result[static_cast<size_t>(node.output)] = before;
  }
  return result;
}

}  // namespace

Trainer::Trainer(const Network& network, const TrainerOptions& options)
    : options_(options), device_(options.device), program_(network.program) {
  differentiable_ = find_differentiable(program_);
  store_parameters(network);
  overflow_ = zeros(sizeof(int));
  state_.scale = first_loss_scale;
  scaler_ = upload(std::vector<ScalerState>{state_});
  scaler_host_ = PinnedBuffer(sizeof(ScalerState));
}

/** All parameters one after another, in arenas of the same layout: values, velocities, gradients, halves. */
void Trainer::store_parameters(const Network& network) {
  std::vector<Segment> segments;
  std::vector<float> values;
  std::vector<half> rounded;
  for (const ParameterInfo& parameter : program_.parameters) {
    const int64_t count = stored_parameter(parameter).size();
    offsets_.push_back(size_);
    segments.push_back({size_, (count + 7) / 8 * 8, parameter.name.ends_with(".weight") ? SegmentKind::decayed : SegmentKind::plain, 1});
    size_ += (count + 63) / 64 * 64;
  }
  for (const Node& node : program_.nodes) {
    if (node.kind != OpKind::batch_norm) continue;
    segments[static_cast<size_t>(node.parameters[2])].kind = SegmentKind::running_mean;
    segments[static_cast<size_t>(node.parameters[3])].kind = SegmentKind::running_variance;
  }
  values.assign(static_cast<size_t>(size_), 0);
  rounded.assign(static_cast<size_t>(size_), __float2half(0));
  for (size_t i = 0; i < offsets_.size(); i++)
    for_stored(stored_parameter(program_.parameters[i]), [&](int64_t dense, int64_t at) {
      values[static_cast<size_t>(offsets_[i] + at)] = network.values[i][static_cast<size_t>(dense)];
      rounded[static_cast<size_t>(offsets_[i] + at)] = __float2half(network.values[i][static_cast<size_t>(dense)]);
    });
  values_ = upload(values);
  rounded_ = upload(rounded);
  velocities_ = zeros(static_cast<size_t>(size_) * sizeof(float));
  gradients_ = zeros(static_cast<size_t>(size_) * sizeof(float));
  segments_ = static_cast<int>(segments.size());
  segment_ = upload(segments);
}

size_t Trainer::tensor_bytes(int tensor) const {
  if (tensor == program_.input) return static_cast<size_t>(program_.shape(tensor).size() * batch_);
  return extents_of(program_, tensor, batch_).size() * (is_f32(program_, tensor) ? sizeof(float) : sizeof(half));
}

size_t Trainer::labels_a_clip() const { return options_.multi_label ? static_cast<size_t>(program_.shape(program_.output).c) : 1; }

void Trainer::prepare(int64_t batch) {
  require_size(program_, batch);
  batch_ = batch;
  graph_ = {};
  arena_ = {}, scratch_ = {}, kept_memory_ = {}, small_ = {}, results_ = {};  // before others are asked for
  layers_ = lower_training(program_, {batch, options_.dropout});
  size_t scratch = 0, kept = 0;
  int counters = 0;
  kept_.clear();
  seeds_.clear();
  for (size_t i = 0; i < layers_.size(); i++) {
    scratch = std::max(scratch, layers_[i].scratch);
    counters = std::max(counters, layers_[i].counters);
    kept_.push_back(kept);
    kept += aligned(layers_[i].kept);
    if (layers_[i].random) seeds_.push_back(i);
  }
  std::vector<Lifetime> lifetimes;
  std::vector<int> storage, gradient_storage;
  plan_tensors(lifetimes, storage);
  plan_gradients(lifetimes, gradient_storage);
  const MemoryPlan memory = plan_memory(lifetimes);
  arena_ = DeviceBuffer(memory.bytes);
  scratch_ = DeviceBuffer(scratch);
  kept_memory_ = DeviceBuffer(kept);
  counters_ = zeros(static_cast<size_t>(counters) * sizeof(int));
  const auto address = [&](int lifetime) {
    return lifetime < 0 ? nullptr : arena_.at<uint8_t>(memory.offsets[static_cast<size_t>(lifetime)]);
  };
  tensors_.clear();
  tensor_gradients_.clear();
  for (const int lifetime : storage) tensors_.push_back(address(lifetime));
  for (const int lifetime : gradient_storage) tensor_gradients_.push_back(address(lifetime));

  // what is uploaded besides the clips: seeds, rate, labels; what is downloaded: losses and logits
  const size_t labels = static_cast<size_t>(batch) * labels_a_clip() * sizeof(int32_t);
  small_ = DeviceBuffer(seeds_.size() * sizeof(uint64_t) + sizeof(float) + labels);
  small_host_ = PinnedBuffer(small_.bytes());
  clips_host_ = PinnedBuffer(tensor_bytes(program_.input));
  results_ = DeviceBuffer(static_cast<size_t>(batch) * sizeof(float));
  results_host_ = PinnedBuffer(results_.bytes() + tensor_bytes(program_.output));
  // of running variances: the unbiased one is M / (M − 1) times the biased
  std::vector<Segment> segments(static_cast<size_t>(segments_));
  check(cudaMemcpy(segments.data(), segment_.at<void>(), segment_.bytes(), cudaMemcpyDeviceToHost), "reading segments");
  for (const Node& node : program_.nodes) {
    if (node.kind != OpKind::batch_norm) continue;
    const int64_t rows = program_.shape(node.inputs[0]).rows() * batch;
    segments[static_cast<size_t>(node.parameters[3])].bessel = rows > 1 ? static_cast<float>(rows) / static_cast<float>(rows - 1) : 1;
  }
  segment_ = upload(segments);
  finish_uploads();
  load_kernels();
  graph_ = Graph(stream_, [&] { launch_step(); });
  stream_.synchronize();
}

/** Activations: from the layer that writes them to the last that reads them, backward included. */
void Trainer::plan_tensors(std::vector<Lifetime>& lifetimes, std::vector<int>& storage) const {
  std::vector<int> first(program_.tensors.size(), 0), last(program_.tensors.size(), 0);
  const auto extend = [&](int tensor, int time) { last[static_cast<size_t>(tensor)] = std::max(last[static_cast<size_t>(tensor)], time); };
  for (size_t i = 0; i < layers_.size(); i++) {
    const TrainLayer& layer = layers_[i];
    const bool learns = differentiable_[static_cast<size_t>(layer.output)] != 0;
    first[static_cast<size_t>(layer.output)] = static_cast<int>(i);
    for (const int x : layer.inputs) extend(x, learns && layer.keeps_x ? time_of_backward(i) : static_cast<int>(i));
    extend(layer.output, learns && layer.keeps_y ? time_of_backward(i) : static_cast<int>(i));
  }
  extend(program_.output, 2 * time_of_loss() + 1);  // read when the step is over
  for (size_t i = 0; i < program_.tensors.size(); i++) {
    storage.push_back(static_cast<int>(lifetimes.size()));
    lifetimes.push_back({tensor_bytes(static_cast<int>(i)), first[i], last[i]});
  }
}

/** Gradients: from the first layer (going backward) that contributes to the backward pass of the layer that wrote the tensor. */
void Trainer::plan_gradients(std::vector<Lifetime>& lifetimes, std::vector<int>& storage) {
  storage.assign(program_.tensors.size(), -1);
  accumulate_.assign(layers_.size(), {});
  const size_t output = static_cast<size_t>(program_.output);
  storage[output] = static_cast<int>(lifetimes.size());
  lifetimes.push_back({tensor_bytes(program_.output), time_of_loss(), time_of_loss()});
  for (size_t i = layers_.size(); i-- > 0;) {
    const TrainLayer& layer = layers_[i];
    accumulate_[i].assign(layer.inputs.size(), 0);
    const int dy = storage[static_cast<size_t>(layer.output)], now = time_of_backward(i);
    if (dy < 0) continue;  // nothing to learn before it, or nothing after it reaches the loss
    lifetimes[static_cast<size_t>(dy)].last = now;
    for (size_t input = layer.inputs.size(); input-- > 0;) {
      const size_t x = static_cast<size_t>(layer.inputs[input]);
      if (!differentiable_[x]) continue;
      if (storage[x] >= 0) {
        accumulate_[i][input] = 1;
        continue;
      }
      storage[x] = static_cast<int>(lifetimes.size());
      lifetimes.push_back({tensor_bytes(static_cast<int>(x)), now, now});
    }
  }
}

TrainBinding Trainer::bind(size_t layer) const {
  const auto seed = std::find(seeds_.begin(), seeds_.end(), layer);
  return {tensors_,
          tensor_gradients_,
          accumulate_[layer],
          offsets_,
          values_.at<float>(),
          gradients_.at<float>(),
          rounded_.at<half>(),
          kept_memory_.at<uint8_t>(kept_[layer]),
          scratch_.at<uint8_t>(),
          counters_.at<int>(),
          seed == seeds_.end() ? nullptr : small_.at<unsigned long long>(static_cast<size_t>(seed - seeds_.begin()) * sizeof(uint64_t))};
}

/** Kernels may be loaded when they are first launched, and not all drivers do that while a graph is recorded: a step that is skipped. */
void Trainer::load_kernels() {
  if (kernels_are_loaded_) return;
  std::memset(small_host_.at<void>(), 0, small_.bytes());
  std::memset(clips_host_.at<void>(), 0, tensor_bytes(program_.input));
  check(cudaMemset(overflow_.at<void>(), 1, overflow_.bytes()), "skipping a step");
  finish_uploads();
  launch_step();
  stream_.synchronize();
  scaler_ = upload(std::vector<ScalerState>{state_});
  check(cudaMemset(gradients_.at<void>(), 0, gradients_.bytes()), "clearing memory");
  finish_uploads();
  kernels_are_loaded_ = true;
}

void Trainer::launch_step() {
  const size_t seeds = seeds_.size() * sizeof(uint64_t);
  check(cudaMemcpyAsync(tensors_[static_cast<size_t>(program_.input)], clips_host_.at<void>(), tensor_bytes(program_.input),
                        cudaMemcpyHostToDevice, stream_),
        "uploading clips");
  check(cudaMemcpyAsync(small_.at<void>(), small_host_.at<void>(), small_.bytes(), cudaMemcpyHostToDevice, stream_), "uploading labels");
  for (size_t i = 0; i < layers_.size(); i++) {
    layers_[i].forward(bind(i), stream_);
    check_launch(program_.nodes[i].name.c_str());
  }

  const Extents logits = extents_of(program_, program_.output, batch_);
  const size_t output = static_cast<size_t>(program_.output);
  LossArgs args{};
  args.n = logits.n;
  args.classes = static_cast<int>(program_.shape(program_.output).c);
  args.stored = logits.c;
  args.multi_label = options_.multi_label;
  args.logits = reinterpret_cast<const float*>(tensors_[output]);
  args.labels = small_.at<int>(seeds + sizeof(float));
  args.smoothing = options_.label_smoothing;
  args.loss_scale = &scaler_.at<ScalerState>()->scale;
  args.losses = results_.at<float>();
  const bool pooled = program_.nodes[static_cast<size_t>(program_.tensors[output].producer)].kind == OpKind::temporal_softmax;
  if (pooled)
    args.dlogits32 = reinterpret_cast<float*>(tensor_gradients_[output]);
  else
    args.dlogits = reinterpret_cast<half*>(tensor_gradients_[output]);
  loss(args, stream_);
  check_launch("loss");

  for (size_t i = layers_.size(); i-- > 0;) {
    if (!tensor_gradients_[static_cast<size_t>(layers_[i].output)]) continue;
    layers_[i].backward(bind(i), stream_);
    check_launch(program_.nodes[i].name.c_str());
  }
  UpdateArgs u{};
  u.segments = segments_;
  u.segment = segment_.at<Segment>();
  u.size = size_;
  u.w = values_.at<float>();
  u.v = velocities_.at<float>();
  u.g = gradients_.at<float>();
  u.halves = rounded_.at<half>();
  u.rate = small_.at<float>(seeds);
  u.momentum = options_.momentum;
  u.weight_decay = options_.weight_decay;
  u.running_decay = running_decay;
  u.nesterov = options_.nesterov;
  u.growth_interval = growth_interval;
  u.scaler = scaler_.at<ScalerState>();
  u.overflow = overflow_.at<int>();
  update(u, stream_);
  check_launch("update");
  check(cudaMemcpyAsync(results_host_.at<void>(), results_.at<void>(), results_.bytes(), cudaMemcpyDeviceToHost, stream_),
        "downloading losses");
  check(cudaMemcpyAsync(results_host_.at<void>(results_.bytes()), tensors_[output], tensor_bytes(program_.output), cudaMemcpyDeviceToHost,
                        stream_),
        "downloading logits");
  check(cudaMemcpyAsync(scaler_host_.at<void>(), scaler_.at<void>(), sizeof(ScalerState), cudaMemcpyDeviceToHost, stream_),
        "downloading the loss scale");
}

StepResult Trainer::step(const uint8_t* clips, int64_t batch, const int32_t* labels, float rate, float* logits) {
  device_.use();
  if (batch != batch_) {
    try {
      prepare(batch);
    } catch (...) {
      batch_ = 0;  // the next step prepares again
      throw;
    }
  }
  std::copy_n(clips, tensor_bytes(program_.input), clips_host_.at<uint8_t>());
  const uint64_t seed = mix(options_.seed + mix(++steps_));
  for (size_t i = 0; i < seeds_.size(); i++) small_host_.at<uint64_t>()[i] = seed ^ layers_[seeds_[i]].salt;
  const size_t at = seeds_.size() * sizeof(uint64_t);
  *small_host_.at<float>(at) = rate;
  std::copy_n(labels, static_cast<size_t>(batch) * labels_a_clip(), small_host_.at<int32_t>(at + sizeof(float)));
  last_scale_ = state_.scale;
  graph_.launch(stream_);
  stream_.synchronize();

  state_ = *scaler_host_.at<ScalerState>();
  StepResult result{0, last_scale_, state_.skipped != 0, state_.skipped_steps};
  for (int64_t n = 0; n < batch; n++) result.loss += static_cast<double>(results_host_.at<float>()[n]);
  const int64_t classes = program_.shape(program_.output).c, stored = stored_channels(static_cast<int>(classes));
  for (int64_t n = 0; n < batch; n++) std::copy_n(results_host_.at<float>(results_.bytes()) + n * stored, classes, logits + n * classes);
  return result;
}

void Trainer::read(size_t parameter, bool gradient, float* to) {
  device_.use();
  const StoredParameter stored = stored_parameter(program_.parameters.at(parameter));
  std::vector<float> values(static_cast<size_t>(stored.size()));
  const DeviceBuffer& from = gradient ? gradients_ : values_;
  check(cudaMemcpy(values.data(), from.at<float>() + offsets_[parameter], values.size() * sizeof(float), cudaMemcpyDeviceToHost),
        "downloading parameters");
  const float factor = gradient ? 1 / last_scale_ : 1;
  for_stored(stored, [&](int64_t dense, int64_t at) { to[dense] = values[static_cast<size_t>(at)] * factor; });
}

}  // namespace tvn::cuda
