#include <algorithm>

#include "core/buffer.h"
#include "core/error.h"
#include "kernels/conv/conv.h"
#include "kernels/depthwise/depthwise.h"
#include "runtime/layer.h"

namespace tvn {
namespace {

/** What fusing passes make has no backward pass. */
void require_inference(const LayerOptions& options) {
  if (options.purpose == Purpose::training)
    throw Error("ERR_GRAPH_INVALID", "a convolution with residual, scale or shortcut cannot be trained");
}

class ConvLayer final : public Layer {
 public:
  ConvLayer(const Program& program, const Node& node, const LayerOptions& o)
      : shape_{batched(program.shape(node.inputs[0]), o.batch), batched(program.shape(node.output), o.batch), node.window},
        function_(node.attributes.function),
        forward_(tvn::select(conv_forward_kernels(), o.isa, shape_, o.precision)),
        data_gradient_(tvn::select(conv_data_gradient_kernels(), o.isa, shape_)),
        weight_gradient_(tvn::select(conv_weight_gradient_kernels(), o.isa, shape_)),
        packed_(forward_.packed_size(shape_)),
        scratch_(forward_.scratch_size(shape_, o.threads)) {
    if (node.inputs.size() > 1) require_inference(o);
    if (o.purpose == Purpose::inference) return;
    transposed_ = Buffer<float>(data_gradient_.packed_size(shape_));
    scratch_ = std::max({scratch_, data_gradient_.scratch_size(shape_, o.threads), weight_gradient_.scratch_size(shape_, o.threads)});
  }

  const char* kernel() const override { return forward_.name; }
  bool packs(size_t slot) const override { return slot == 0; }
  std::span<const float> packed() const override { return {packed_.data(), packed_.size()}; }
  size_t scratch() const override { return scratch_; }

  void pack(const Operands& at, ThreadPool& pool) override { forward_.pack(shape_, at.parameters[0], packed_.data(), pool); }

  void forward(const Operands& at, const Run& run) override {
    const auto input = [&](size_t i) { return i < at.x.size() ? at.x[i] : nullptr; };
    forward_.run(shape_, {at.x[0], packed_.data(), at.parameters[1], input(1), function_, at.y, at.scratch, input(2)}, run.pool);
  }

  void backward(const Operands& at, const Run& run) override {
    weight_gradient_.run(shape_, {at.x[0], at.dy, at.parameter_gradients[0], at.parameter_gradients[1], at.scratch}, run.pool);
    if (!at.dx[0]) return;
    data_gradient_.pack(shape_, at.parameters[0], transposed_.data(), run.pool);
    data_gradient_.run(shape_, {at.dy, transposed_.data(), at.accumulate[0] != 0, at.dx[0], at.scratch}, run.pool);
  }

 private:
  ConvShape shape_;
  Function function_;
  const ConvKernel<ConvForwardArgs>& forward_;
  const ConvKernel<ConvDataGradientArgs>& data_gradient_;
  const ConvKernel<ConvWeightGradientArgs>& weight_gradient_;
  Buffer<float> packed_, transposed_;
  size_t scratch_;
};

/** With a shortcut; in inference only. */
class ConvSumLayer final : public Layer {
 public:
  ConvSumLayer(const Program& program, const Node& node, const LayerOptions& o)
      : shape_{{batched(program.shape(node.inputs[0]), o.batch), batched(program.shape(node.output), o.batch), node.window},
               {batched(program.shape(node.inputs[3]), o.batch), batched(program.shape(node.output), o.batch), node.shortcut_window}},
        function_(node.attributes.function),
        kernel_(select(conv_sum_kernels(), o.isa, shape_, o.precision)),
        shortcut_at_(kernel_.packed_size(shape_.expand)),
        packed_(shortcut_at_ + kernel_.packed_size(shape_.shortcut)),
        scratch_(kernel_.scratch_size(shape_, o.threads)) {
    require_inference(o);
  }

  const char* kernel() const override { return kernel_.name; }
  bool packs(size_t slot) const override { return slot == 0 || slot == 2; }
  std::span<const float> packed() const override { return {packed_.data(), packed_.size()}; }
  size_t scratch() const override { return scratch_; }

  void pack(const Operands& at, ThreadPool& pool) override {
    kernel_.pack(shape_.expand, at.parameters[0], packed_.data(), pool);
    kernel_.pack(shape_.shortcut, at.parameters[2], packed_.data() + shortcut_at_, pool);
  }

  void forward(const Operands& at, const Run& run) override {
    kernel_.run(shape_,
                {at.x[0], packed_.data(), at.parameters[1], at.x[2], at.x[3], packed_.data() + shortcut_at_, at.parameters[3], function_,
                 at.y, at.scratch},
                run.pool);
  }
  void backward(const Operands&, const Run&) override {}

 private:
  ConvSumShape shape_;
  Function function_;
  const ConvSumKernel& kernel_;
  size_t shortcut_at_;
  Buffer<float> packed_;
  size_t scratch_;
};

class DepthwiseLayer final : public Layer {
 public:
  DepthwiseLayer(const Program& program, const Node& node, const LayerOptions& o)
      : shape_{batched(program.shape(node.inputs[0]), o.batch), batched(program.shape(node.output), o.batch), node.window},
        function_(node.attributes.function),
        forward_(select(depthwise_forward_kernels(), o.isa)),
        data_gradient_(select(depthwise_data_gradient_kernels(), o.isa)),
        weight_gradient_(select(depthwise_weight_gradient_kernels(), o.isa)),
        scratch_(o.purpose == Purpose::training ? depthwise_weight_gradient_scratch(shape_) : 0) {}

  const char* kernel() const override { return forward_.name; }
  size_t scratch() const override { return scratch_; }

  void forward(const Operands& at, const Run& run) override {
    forward_.run(shape_, {at.x[0], at.parameters[0], at.parameters[1], function_, at.y}, run.pool);
  }

  void backward(const Operands& at, const Run& run) override {
    weight_gradient_.run(shape_, {at.x[0], at.dy, at.parameter_gradients[0], at.parameter_gradients[1], at.scratch}, run.pool);
    if (at.dx[0]) data_gradient_.run(shape_, {at.dy, at.parameters[0], at.accumulate[0] != 0, at.dx[0]}, run.pool);
  }

 private:
  DepthwiseShape shape_;
  Function function_;
  const Kernel<DepthwiseForward>& forward_;
  const Kernel<DepthwiseDataGradient>& data_gradient_;
  const Kernel<DepthwiseWeightGradient>& weight_gradient_;
  size_t scratch_;
};

}  // namespace

std::unique_ptr<Layer> make_convolution_layer(const Program& program, const Node& node, const LayerOptions& options) {
  if (node.kind == OpKind::conv && node.has(3)) return std::make_unique<ConvSumLayer>(program, node, options);
  if (node.kind == OpKind::conv) return std::make_unique<ConvLayer>(program, node, options);
  return std::make_unique<DepthwiseLayer>(program, node, options);
}

}  // namespace tvn
