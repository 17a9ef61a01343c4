#include <algorithm>

#include "core/buffer.h"
#include "kernels/conv/conv.h"
#include "kernels/depthwise/depthwise.h"
#include "runtime/layer.h"

namespace tvn {
namespace {

class ConvLayer final : public Layer {
 public:
  ConvLayer(const Program& program, const Node& node, const LayerOptions& o)
      : shape_{batched(program.shape(node.inputs[0]), o.batch), batched(program.shape(node.output), o.batch), node.window},
        function_(node.attributes.function),
        forward_(tvn::select(conv_forward_kernels(), o.isa, shape_)),
        data_gradient_(tvn::select(conv_data_gradient_kernels(), o.isa, shape_)),
        weight_gradient_(tvn::select(conv_weight_gradient_kernels(), o.isa, shape_)),
        packed_(forward_.packed_size(shape_)),
        scratch_(forward_.scratch_size(shape_, o.threads)) {
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
    const float* residual = at.x.size() > 1 ? at.x[1] : nullptr;
    forward_.run(shape_, {at.x[0], packed_.data(), at.parameters[1], residual, function_, at.y, at.scratch}, run.pool);
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
  if (node.kind == OpKind::conv) return std::make_unique<ConvLayer>(program, node, options);
  return std::make_unique<DepthwiseLayer>(program, node, options);
}

}  // namespace tvn
