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
        threads_(o.threads),
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

  std::span<const Tiling> tilings() const override { return forward_.tilings; }
  void set_tiling(const Tiling& tiling) override {
    shape_.tiling = tiling;
    scratch_ = forward_.scratch_size(shape_, threads_);
  }

  void pack(const Operands& at, ThreadPool& pool) override { forward_.pack(shape_, at.parameters[0], packed_.data(), pool); }

  void forward(const Operands& at, const Run& run) override {
    const auto input = [&](size_t i) { return i < at.x.size() ? at.x[i] : nullptr; };
    forward_.run(shape_, {at.x[0], packed_.data(), at.parameters[1], input(1), function_, at.y, at.scratch, input(2)}, run.pool);
  }

  std::optional<RowWindow> row_window() const override {
    return forward_.row_unit > 0 ? row_window_of(shape_, forward_.row_unit) : std::nullopt;
  }
  size_t row_scratch(const Rows& rows) const override { return forward_.scratch_size(shape_of_rows(shape_, rows), 1); }
  void forward_rows(const Operands& at, const Rows& rows, float* scratch, ThreadPool& serial) override {
    const float* residual = at.x.size() > 1 && at.x[1] ? at.x[1] + offset_of_rows(shape_.y, rows) : nullptr;
    const float* scale = at.x.size() > 2 && at.x[2] ? at.x[2] + rows.clip * shape_.y.c : nullptr;
    forward_.run(shape_of_rows(shape_, rows), {rows.x, packed_.data(), at.parameters[1], residual, function_, rows.y, scratch, scale},
                 serial);
  }

  void backward(const Operands& at, const Run& run) override {
    if (at.parameter_gradients[0])
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
  int threads_;
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
        threads_(o.threads),
        scratch_(kernel_.scratch_size(shape_, o.threads)) {
    require_inference(o);
  }

  const char* kernel() const override { return kernel_.name; }
  bool packs(size_t slot) const override { return slot == 0 || slot == 2; }
  std::span<const float> packed() const override { return {packed_.data(), packed_.size()}; }
  size_t scratch() const override { return scratch_; }

  std::span<const Tiling> tilings() const override { return kernel_.tilings; }
  void set_tiling(const Tiling& tiling) override {
    shape_.expand.tiling = shape_.shortcut.tiling = tiling;
    scratch_ = kernel_.scratch_size(shape_, threads_);
  }

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
  std::optional<RowWindow> row_window() const override {
    return kernel_.row_unit > 0 ? row_window_of(shape_.expand, kernel_.row_unit) : std::nullopt;
  }
  size_t row_scratch(const Rows& rows) const override { return kernel_.scratch_size(sum_of_rows(rows), 1); }
  void forward_rows(const Operands& at, const Rows& rows, float* scratch, ThreadPool& serial) override {
    const auto& [expand, shortcut] = shape_;
    const Window& k = shortcut.window;
    const int64_t frame = rows.clip * shortcut.x.t + rows.frame * k.st, row = frame * shortcut.x.h + rows.first * k.sh;
    kernel_.run(sum_of_rows(rows),
                {rows.x, packed_.data(), at.parameters[1], at.x[2] ? at.x[2] + rows.clip * expand.y.c : nullptr,
                 at.x[3] + row * shortcut.x.w * shortcut.x.c, packed_.data() + shortcut_at_, at.parameters[3], function_, rows.y, scratch},
                serial);
  }

  void backward(const Operands&, const Run&) override {}

 private:
  ConvSumShape sum_of_rows(const Rows& rows) const {
    Rows of_shortcut = rows;
    of_shortcut.x_rows = (rows.count - 1) * shape_.shortcut.window.sh + 1;
    ConvSumShape sum{shape_of_rows(shape_.expand, rows), shape_of_rows(shape_.shortcut, of_shortcut)};
    sum.shortcut.window.st = 1;
    return sum;
  }

  ConvSumShape shape_;
  Function function_;
  const ConvSumKernel& kernel_;
  size_t shortcut_at_;
  Buffer<float> packed_;
  int threads_;
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

  std::optional<RowWindow> row_window() const override { return row_window_of(shape_); }
  void forward_rows(const Operands& at, const Rows& rows, float*, ThreadPool& serial) override {
    forward_.run(shape_of_rows(shape_, rows), {rows.x, at.parameters[0], at.parameters[1], function_, rows.y}, serial);
  }

  void backward(const Operands& at, const Run& run) override {
    if (at.parameter_gradients[0])
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
