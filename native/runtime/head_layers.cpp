#include "kernels/dense/dense.h"
#include "kernels/temporal_softmax/temporal_softmax.h"
#include "runtime/layer.h"

namespace tvn {
namespace {

class DenseLayer final : public Layer {
 public:
  DenseLayer(const Program& program, const Node& node, const LayerOptions& o)
      : shape_{o.batch * program.shape(node.inputs[0]).t, program.shape(node.inputs[0]).c, program.shape(node.output).c},
        forward_(select(dense_forward_kernels(), o.isa)),
        backward_(select(dense_backward_kernels(), o.isa)) {}

  const char* kernel() const override { return forward_.name; }
  bool accumulates() const override { return false; }

  void forward(const Operands& at, const Run& run) override {
    forward_.run(shape_, {at.x[0], at.parameters[0], at.parameters[1], at.y}, run.pool);
  }
  void backward(const Operands& at, const Run& run) override {
    backward_.run(shape_, {at.x[0], at.parameters[0], at.dy, at.dx[0], at.parameter_gradients[0], at.parameter_gradients[1]}, run.pool);
  }

 private:
  DenseShape shape_;
  const Kernel<DenseForward>& forward_;
  const Kernel<DenseBackward>& backward_;
};

class TemporalSoftmaxLayer final : public Layer {
 public:
  TemporalSoftmaxLayer(const Program& program, const Node& node, const LayerOptions& o)
      : shape_{o.batch, program.shape(node.inputs[0]).t, program.shape(node.output).c},
        forward_(select(temporal_softmax_forward_kernels(), o.isa)),
        backward_(select(temporal_softmax_backward_kernels(), o.isa)) {}

  const char* kernel() const override { return forward_.name; }
  bool accumulates() const override { return false; }

  void forward(const Operands& at, const Run& run) override { forward_.run(shape_, {at.x[0], at.y}, run.pool); }
  void backward(const Operands& at, const Run& run) override { backward_.run(shape_, {at.x[0], at.dy, at.dx[0]}, run.pool); }

 private:
  TemporalSoftmaxShape shape_;
  const Kernel<TemporalSoftmaxForward>& forward_;
  const Kernel<TemporalSoftmaxBackward>& backward_;
};

}  // namespace

std::unique_ptr<Layer> make_head_layer(const Program& program, const Node& node, const LayerOptions& options) {
  if (node.kind == OpKind::dense) return std::make_unique<DenseLayer>(program, node, options);
  return std::make_unique<TemporalSoftmaxLayer>(program, node, options);
}

}  // namespace tvn
