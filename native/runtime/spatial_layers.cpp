#include "kernels/attention/attention.h"
#include "kernels/mean/mean.h"
#include "kernels/pool/pool.h"
#include "runtime/layer.h"

namespace tvn {
namespace {

class PoolLayer final : public Layer {
 public:
  PoolLayer(const Program& program, const Node& node, const LayerOptions& o)
      : shape_{batched(program.shape(node.inputs[0]), o.batch), batched(program.shape(node.output), o.batch), node.window,
               node.attributes.pooling},
        forward_(select(pool_forward_kernels(), o.isa)),
        backward_(select(pool_backward_kernels(), o.isa)) {}

  const char* kernel() const override { return forward_.name; }
  bool keeps_x() const override { return shape_.pooling == Pooling::max; }
  bool keeps_y() const override { return shape_.pooling == Pooling::max; }

  void forward(const Operands& at, const Run& run) override { forward_.run(shape_, {at.x[0], at.y}, run.pool); }
  std::optional<RowWindow> row_window() const override { return row_window_of(shape_); }
  void forward_rows(const Operands&, const Rows& rows, float*, ThreadPool& serial) override {
    forward_.run(shape_of_rows(shape_, rows), {rows.x, rows.y}, serial);
  }
  void backward(const Operands& at, const Run& run) override {
    if (at.dx[0]) backward_.run(shape_, {at.x[0], at.y, at.dy, at.accumulate[0] != 0, at.dx[0]}, run.pool);
  }

 private:
  PoolShape shape_;
  const Kernel<PoolForward>& forward_;
  const Kernel<PoolBackward>& backward_;
};

class MeanLayer final : public Layer {
 public:
  MeanLayer(const Program& program, const Node& node, const LayerOptions& o)
      : forward_(select(mean_forward_kernels(), o.isa)), backward_(select(mean_backward_kernels(), o.isa)) {
    const Shape& x = program.shape(node.inputs[0]);
    const bool clip = node.attributes.extent == Extent::clip;
    shape_ = {o.batch * (clip ? 1 : x.t), (clip ? x.t : 1) * x.h * x.w, x.c};
  }

  const char* kernel() const override { return forward_.name; }
  bool keeps_x() const override { return false; }

  void forward(const Operands& at, const Run& run) override { forward_.run(shape_, {at.x[0], at.y}, run.pool); }
  void backward(const Operands& at, const Run& run) override {
    if (at.dx[0]) backward_.run(shape_, {at.dy, at.accumulate[0] != 0, at.dx[0]}, run.pool);
  }

 private:
  MeanShape shape_;
  const Kernel<MeanForward>& forward_;
  const Kernel<MeanBackward>& backward_;
};

class AttentionLayer final : public Layer {
 public:
  AttentionLayer(const Program& program, const Node& node, const LayerOptions& o)
      : shape_{o.batch, program.shape(node.inputs[0]).rows(), program.shape(node.inputs[1]).rows(), program.shape(node.inputs[0]).c},
        threads_(o.threads),
        forward_(select(attention_forward_kernels(), o.isa)),
        backward_(select(attention_backward_kernels(), o.isa)) {}

  const char* kernel() const override { return forward_.name; }
  size_t scratch() const override { return attention_scratch(shape_, threads_); }
  bool accumulates() const override { return false; }

  void forward(const Operands& at, const Run& run) override {
    forward_.run(shape_, {at.x[0], at.x[1], at.x[2], at.y, at.scratch}, run.pool);
  }
  void backward(const Operands& at, const Run& run) override {
    backward_.run(shape_, {at.x[0], at.x[1], at.x[2], at.dy, at.dx[0], at.dx[1], at.dx[2], at.scratch}, run.pool);
  }

 private:
  AttentionShape shape_;
  int threads_;
  const Kernel<AttentionForward>& forward_;
  const Kernel<AttentionBackward>& backward_;
};

}  // namespace

std::unique_ptr<Layer> make_spatial_layer(const Program& program, const Node& node, const LayerOptions& options) {
  if (node.kind == OpKind::pool) return std::make_unique<PoolLayer>(program, node, options);
  if (node.kind == OpKind::mean) return std::make_unique<MeanLayer>(program, node, options);
  return std::make_unique<AttentionLayer>(program, node, options);
}

}  // namespace tvn
