#include <algorithm>
#include <cmath>

#include "core/buffer.h"
#include "kernels/activation/activation.h"
#include "kernels/add/add.h"
#include "kernels/batch_norm/batch_norm.h"
#include "kernels/dropout/dropout.h"
#include "kernels/gate/gate.h"
#include "kernels/normalize/normalize.h"
#include "runtime/layer.h"

namespace tvn {
namespace {

constexpr float running_decay = 0.9f;

class NormalizeLayer final : public Layer {
 public:
  NormalizeLayer(const Program& program, const Node& node, const LayerOptions& o)
      : shape_(batched(program.shape(node.output), o.batch)), forward_(select(normalize_kernels(), o.isa)) {}

  const char* kernel() const override { return forward_.name; }
  bool keeps_x() const override { return false; }

  void forward(const Operands& at, const Run& run) override {
    forward_.run(shape_.size(), {reinterpret_cast<const uint8_t*>(at.x[0]), at.y}, run.pool);
  }
  std::optional<RowWindow> row_window() const override { return RowWindow{.x_bytes = 1}; }
  void forward_rows(const Operands&, const Rows& rows, float*, ThreadPool& serial) override {
    forward_.run(rows.count * shape_.w * shape_.c, {reinterpret_cast<const uint8_t*>(rows.x), rows.y}, serial);
  }
  void backward(const Operands&, const Run&) override {}  // the clip has no gradient

 private:
  Shape shape_;
  const Kernel<Normalize>& forward_;
};

class BatchNormLayer final : public Layer {
 public:
  BatchNormLayer(const Program& program, const Node& node, const LayerOptions& o)
      : rows_(batched(program.shape(node.output), o.batch).rows()),
        channels_(program.shape(node.output).c),
        training_(o.purpose == Purpose::training),
        function_(node.attributes.function),
        statistics_(select(batch_norm_statistics_kernels(), o.isa)),
        apply_(select(batch_norm_apply_kernels(), o.isa)),
        backward_(select(batch_norm_backward_kernels(), o.isa)),
        mean_(static_cast<size_t>(channels_)),
        variance_(static_cast<size_t>(channels_)),
        scale_(static_cast<size_t>(channels_)),
        shift_(static_cast<size_t>(channels_)) {}

  const char* kernel() const override { return apply_.name; }
  size_t scratch() const override { return training_ ? batch_norm_scratch(rows_, channels_) : 0; }
  bool in_place() const override { return true; }

  void forward(const Operands& at, const Run& run) override {
    const float *gamma = at.parameters[0], *beta = at.parameters[1];
    float *running_mean = at.parameters[2], *running_variance = at.parameters[3];
    const size_t channels = static_cast<size_t>(channels_);
    if (training_) {
      statistics_.run(rows_, channels_, {at.x[0], mean_.data(), variance_.data(), at.scratch}, run.pool);
      const float bessel = static_cast<float>(rows_) / static_cast<float>(std::max<int64_t>(rows_ - 1, 1));
      for (size_t c = 0; c < channels; c++) {
        running_mean[c] = running_decay * running_mean[c] + (1 - running_decay) * mean_[c];
        running_variance[c] = running_decay * running_variance[c] + (1 - running_decay) * bessel * variance_[c];
      }
    }
    const float* mean = training_ ? mean_.data() : running_mean;
    const float* variance = training_ ? variance_.data() : running_variance;
    for (size_t c = 0; c < channels; c++) {
      scale_[c] = gamma[c] / std::sqrt(variance[c] + batch_norm_epsilon);
      shift_[c] = beta[c] - mean[c] * scale_[c];
    }
    apply_.run(rows_, channels_, {at.x[0], scale_.data(), shift_.data(), function_, at.y}, run.pool);
  }

  void backward(const Operands& at, const Run& run) override {
    backward_.run(rows_, channels_,
                  {at.x[0], at.dy, mean_.data(), variance_.data(), at.parameters[0], at.parameters[1], batch_norm_epsilon, function_,
                   at.parameter_gradients[0], at.parameter_gradients[1], at.accumulate[0] != 0, at.dx[0], at.scratch},
                  run.pool);
  }

 private:
  int64_t rows_, channels_;
  bool training_;
  Function function_;
  const Kernel<BatchNormStatistics>& statistics_;
  const Kernel<BatchNormApply>& apply_;
  const Kernel<BatchNormBackward>& backward_;
  Buffer<float> mean_, variance_, scale_, shift_;  // of the last batch
};

class ActivationLayer final : public Layer {
 public:
  ActivationLayer(const Program& program, const Node& node, const LayerOptions& o)
      : size_(batched(program.shape(node.output), o.batch).size()),
        function_(node.attributes.function),
        forward_(select(activation_forward_kernels(), o.isa)),
        backward_(select(activation_backward_kernels(), o.isa)) {}

  const char* kernel() const override { return forward_.name; }
  bool keeps_x() const override { return function_ == Function::hswish; }
  bool keeps_y() const override { return function_ != Function::hswish; }
  bool in_place() const override { return true; }

  void forward(const Operands& at, const Run& run) override { forward_.run(size_, {function_, at.x[0], at.y}, run.pool); }
  void backward(const Operands& at, const Run& run) override {
    if (at.dx[0]) backward_.run(size_, {function_, at.x[0], at.y, at.dy, at.accumulate[0] != 0, at.dx[0]}, run.pool);
  }

 private:
  int64_t size_;
  Function function_;
  const Kernel<ActivationForward>& forward_;
  const Kernel<ActivationBackward>& backward_;
};

/** In training its function is none or relu (see fuse_activations), whose gradient needs y at most. */
class AddLayer final : public Layer {
 public:
  AddLayer(const Program& program, const Node& node, const LayerOptions& o)
      : size_(batched(program.shape(node.output), o.batch).size()),
        function_(node.attributes.function),
        forward_(select(add_forward_kernels(), o.isa)),
        backward_(select(activation_backward_kernels(), o.isa)) {}

  const char* kernel() const override { return forward_.name; }
  bool keeps_x() const override { return false; }
  bool keeps_y() const override { return function_ != Function::none; }
  bool in_place() const override { return true; }

  void forward(const Operands& at, const Run& run) override { forward_.run(size_, {at.x[0], at.x[1], function_, at.y}, run.pool); }
  void backward(const Operands& at, const Run& run) override {
    for (const size_t input : {size_t{1}, size_t{0}}) {  // input 0 last: its dx may be dy
      float* dx = at.dx[input];
      if (!dx || (dx == at.dy && function_ == Function::none)) continue;
      backward_.run(size_, {function_, nullptr, at.y, at.dy, at.accumulate[input] != 0, dx}, run.pool);
    }
  }

 private:
  int64_t size_;
  Function function_;
  const Kernel<AddForward>& forward_;
  const Kernel<ActivationBackward>& backward_;
};

class GateLayer final : public Layer {
 public:
  GateLayer(const Program& program, const Node& node, const LayerOptions& o)
      : shape_{o.batch, program.shape(node.output).rows(), program.shape(node.output).c},
        forward_(select(gate_forward_kernels(), o.isa)),
        backward_(select(gate_backward_kernels(), o.isa)) {}

  const char* kernel() const override { return forward_.name; }
  bool in_place() const override { return true; }
  bool accumulates() const override { return false; }

  void forward(const Operands& at, const Run& run) override { forward_.run(shape_, {at.x[0], at.x[1], at.y}, run.pool); }
  void backward(const Operands& at, const Run& run) override {
    backward_.run(shape_, {at.x[0], at.x[1], at.dy, at.accumulate[0] != 0, at.dx[0], at.dx[1]}, run.pool);
  }

 private:
  GateShape shape_;
  const Kernel<GateForward>& forward_;
  const Kernel<GateBackward>& backward_;
};

class DropoutLayer final : public Layer {
 public:
  DropoutLayer(const Program& program, const Node& node, const LayerOptions& o)
      : size_(batched(program.shape(node.output), o.batch).size()),
        rate_(o.purpose == Purpose::training ? node.attributes.rate : 0),
        salt_(static_cast<uint64_t>(node.output) * 0x9e3779b97f4a7c15u),
        kernel_(select(dropout_kernels(), o.isa)) {}

  const char* kernel() const override { return kernel_.name; }
  bool keeps_x() const override { return false; }
  bool in_place() const override { return true; }
  bool accumulates() const override { return false; }

  void forward(const Operands& at, const Run& run) override { apply(at.x[0], at.y, run); }
  void backward(const Operands& at, const Run& run) override { apply(at.dy, at.dx[0], run); }

 private:
  void apply(const float* x, float* y, const Run& run) const {
    if (rate_ == 0)
      std::copy(x, x == y ? x : x + size_, y);
    else
      kernel_.run(size_, {x, rate_, run.seed ^ salt_, y}, run.pool);
  }

  int64_t size_;
  float rate_;
  uint64_t salt_;  // another mask for every dropout of the graph
  const Kernel<Dropout>& kernel_;
};

}  // namespace

std::unique_ptr<Layer> make_pointwise_layer(const Program& program, const Node& node, const LayerOptions& options) {
  switch (node.kind) {
    case OpKind::normalize: return std::make_unique<NormalizeLayer>(program, node, options);
    case OpKind::batch_norm: return std::make_unique<BatchNormLayer>(program, node, options);
    case OpKind::activation: return std::make_unique<ActivationLayer>(program, node, options);
    case OpKind::add: return std::make_unique<AddLayer>(program, node, options);
    case OpKind::gate: return std::make_unique<GateLayer>(program, node, options);
    default: return std::make_unique<DropoutLayer>(program, node, options);
  }
}

}  // namespace tvn
