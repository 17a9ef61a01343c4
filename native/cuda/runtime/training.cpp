#include "cuda/runtime/training.h"

#include <algorithm>

#include "core/error.h"
#include "cuda/kernels/attention.h"
#include "cuda/kernels/batch_norm.h"
#include "cuda/kernels/depthwise.h"
#include "cuda/kernels/elementwise.h"
#include "cuda/kernels/gate.h"
#include "cuda/kernels/head.h"
#include "cuda/kernels/mean.h"
#include "cuda/kernels/pool.h"
#include "graph/passes.h"

namespace tvn::cuda {
namespace {

using Binding = TrainBinding;

/** Makes the layer of one node. */
class LayerMaker {
 public:
  LayerMaker(const Program& program, int node, const TrainingOptions& options)
      : program_(program),
        node_(program.nodes[static_cast<size_t>(node)]),
        options_(options),
        x_(node_.inputs[0]),
        y_(node_.output),
        ex_(extents(x_)),
        ey_(extents(y_)) {
    layer_.inputs = node_.inputs;
    layer_.output = y_;
  }

  TrainLayer make() {
    switch (node_.kind) {
      case OpKind::normalize: make_normalize(); break;
      case OpKind::conv: make_conv(); break;
      case OpKind::depthwise: make_depthwise(); break;
      case OpKind::pool: make_pool(); break;
      case OpKind::batch_norm: make_batch_norm(); break;
      case OpKind::activation: make_activation(); break;
      case OpKind::add: make_add(); break;
      case OpKind::mean: make_mean(); break;
      case OpKind::gate: make_gate(); break;
      case OpKind::attention: make_attention(); break;
      case OpKind::dropout: make_dropout(); break;
      case OpKind::dense: make_dense(); break;
      case OpKind::temporal_softmax: make_temporal_softmax(); break;
    }
    return std::move(layer_);
  }

 private:
  Extents extents(int tensor) const { return extents_of(program_, tensor, options_.batch); }
  bool is_input(int tensor) const { return tensor == program_.input; }

  void make_normalize() {
    layer_.keeps_x = false;
    layer_.forward = [x = x_, y = y_, rows = ey_.rows()](const Binding& b, cudaStream_t stream) {
      normalize(rows, b.tensors[static_cast<size_t>(x)], b.halves(y), stream);
    };
    layer_.backward = [](const Binding&, cudaStream_t) {};
  }

  void make_conv() {
    if (node_.has(1) || node_.has(2) || node_.has(3) || node_.attributes.function != Function::none)
      throw Error("ERR_GRAPH_INVALID", node_.name + ": a fused convolution cannot be trained");
    make_product({ex_, ey_, window_of(node_.window)});
  }

  void make_dense() {
    if (is_f32(program_, x_)) throw Error("ERR_GRAPH_INVALID", node_.name + ": a dense layer cannot follow another on the GPU");
    make_product({ex_, ey_, {}});
  }

  /** A convolution or, for a dense layer, one of single positions with f32 results. */
  void make_product(const ConvShape& shape) {
    const bool f32 = is_f32(program_, y_);
    const int w = node_.parameters[0], bias = node_.parameters.size() > 1 ? node_.parameters[1] : -1;
    const MeanShape rows{1, shape.y.rows(), shape.y.c};
    layer_.learns = true;
    const ConvWorkspaceSize forward = conv_forward_workspace(shape, {}), gradient = conv_data_gradient_workspace(shape);
    layer_.scratch = std::max({forward.parts, gradient.parts, conv_weight_gradient_workspace(shape), bias < 0 ? 0 : mean_workspace(rows)});
    layer_.counters = std::max(forward.counters, gradient.counters);
    layer_.forward = [=, x = x_, y = y_](const Binding& b, cudaStream_t stream) {
      ConvForwardArgs args{b.halves(x), b.weight(w)};
      if (bias >= 0) args.bias = b.value(bias);
      if (f32)
        args.y32 = b.floats(y);
      else
        args.y = b.halves(y);
      args.workspace = b.workspace();
      conv_forward(shape, usual_block(shape.y.rows(), shape.y.c), args, stream);
    };
    layer_.backward = [=, x = x_, y = y_](const Binding& b, cudaStream_t stream) {
      const half* const dy = b.gradient(y);
      float* const scratch = reinterpret_cast<float*>(b.scratch);
      conv_weight_gradient(shape, {b.halves(x), dy, b.parameter_gradient(w), scratch}, stream);
      if (bias >= 0) sum_rows(rows, {dy, nullptr, b.parameter_gradient(bias), scratch}, stream);
      if (b.gradient(x))
        conv_data_gradient(shape, usual_block(shape.x.rows(), shape.x.c), {dy, b.weight(w), b.adds(0), b.gradient(x), b.workspace()},
                           stream);
    };
  }

  void make_depthwise() {
    if (node_.attributes.function != Function::none || (node_.parameters.size() > 1 && node_.parameters[1] >= 0))
      throw Error("ERR_GRAPH_INVALID", node_.name + ": a fused depthwise convolution cannot be trained");
    const DepthwiseShape shape{ex_, ey_, window_of(node_.window)};
    const int w = node_.parameters[0];
    layer_.learns = true;
    layer_.scratch = depthwise_weight_gradient_workspace(shape);
    layer_.forward = [=, x = x_, y = y_](const Binding& b, cudaStream_t stream) {
      depthwise_forward(shape, {b.halves(x), b.weight(w), nullptr, Function::none, b.halves(y)}, stream);
    };
    layer_.backward = [=, x = x_, y = y_](const Binding& b, cudaStream_t stream) {
      depthwise_weight_gradient(shape, {b.halves(x), b.gradient(y), b.parameter_gradient(w), reinterpret_cast<float*>(b.scratch)}, stream);
      if (b.gradient(x)) depthwise_data_gradient(shape, {b.gradient(y), b.weight(w), b.adds(0), b.gradient(x)}, stream);
    };
  }

  void make_pool() {
    const PoolShape shape{ex_, ey_, window_of(node_.window), node_.attributes.pooling};
    const bool max = shape.pooling == Pooling::max;
    layer_.keeps_x = false;
    layer_.kept = max ? ey_.size() * sizeof(uint16_t) : 0;
    layer_.forward = [=, x = x_, y = y_](const Binding& b, cudaStream_t stream) {
      pool_forward(shape, {b.halves(x), b.halves(y), max ? reinterpret_cast<uint16_t*>(b.kept) : nullptr}, stream);
    };
    layer_.backward = [=, x = x_, y = y_](const Binding& b, cudaStream_t stream) {
      if (b.gradient(x)) pool_backward(shape, {reinterpret_cast<const uint16_t*>(b.kept), b.gradient(y), b.adds(0), b.gradient(x)}, stream);
    };
  }

  void make_batch_norm() {
    const BatchNormShape shape{ex_.rows(), static_cast<int>(program_.shape(x_).c), ex_.c};
    const int gamma = node_.parameters[0], beta = node_.parameters[1], mean = node_.parameters[2], variance = node_.parameters[3];
    const Function function = node_.attributes.function;
    layer_.learns = true;
    layer_.scratch = batch_norm_workspace(shape);
    // the batch's statistics lie where gradients of the running ones would: the update takes them from there
    layer_.forward = [=, x = x_, y = y_](const Binding& b, cudaStream_t stream) {
      batch_norm_forward(shape,
                         {b.halves(x), b.value(gamma), b.value(beta), batch_norm_epsilon, function, b.parameter_gradient(mean),
                          b.parameter_gradient(variance), b.halves(y), reinterpret_cast<float*>(b.scratch)},
                         stream);
    };
    layer_.backward = [=, x = x_, y = y_](const Binding& b, cudaStream_t stream) {
      batch_norm_backward(shape,
                          {b.halves(x), b.gradient(y), b.parameter_gradient(mean), b.parameter_gradient(variance), b.value(gamma),
                           b.value(beta), batch_norm_epsilon, function, b.parameter_gradient(gamma), b.parameter_gradient(beta), b.adds(0),
                           b.gradient(x), reinterpret_cast<float*>(b.scratch)},
                          stream);
    };
  }

  void make_activation() {
    const Function function = node_.attributes.function;
    const bool needs_x = function == Function::hswish;
    layer_.keeps_x = needs_x;
    layer_.keeps_y = !needs_x;
    layer_.forward = [=, x = x_, y = y_, e = ey_, channels = static_cast<int>(program_.shape(y_).c)](const Binding& b,
                                                                                                     cudaStream_t stream) {
      activation_forward(function, e.rows(), e.c, channels, b.halves(x), b.halves(y), stream);
    };
    layer_.backward = [=, x = x_, y = y_, size = ey_.size()](const Binding& b, cudaStream_t stream) {
      if (!b.gradient(x)) return;
      activation_backward(function, size,
                          {needs_x ? b.halves(x) : nullptr, needs_x ? nullptr : b.halves(y), b.gradient(y), b.adds(0), b.gradient(x)},
                          stream);
    };
  }

  void make_add() {
    const Function function = node_.attributes.function;
    layer_.keeps_x = false;
    layer_.keeps_y = function != Function::none;
    layer_.forward = [=, a = x_, c = node_.inputs[1], y = y_, size = ey_.size()](const Binding& b, cudaStream_t stream) {
      add_forward(function, size, b.halves(a), b.halves(c), b.halves(y), stream);
    };
    layer_.backward = [=, a = x_, c = node_.inputs[1], y = y_, size = ey_.size()](const Binding& b, cudaStream_t stream) {
      add_backward(function, size,
                   {function == Function::none ? nullptr : b.halves(y), b.gradient(y), b.adds(0), b.adds(1), b.gradient(a), b.gradient(c)},
                   stream);
    };
  }

  void make_mean() {
    const bool clip = node_.attributes.extent == Extent::clip;
    const MeanShape shape{clip ? ex_.n : ex_.n * ex_.t, clip ? ex_.positions() : ex_.h * ex_.w, ex_.c};
    layer_.keeps_x = false;
    layer_.scratch = mean_workspace(shape);
    layer_.forward = [=, x = x_, y = y_](const Binding& b, cudaStream_t stream) {
      mean_forward(shape, {b.halves(x), b.halves(y), nullptr, reinterpret_cast<float*>(b.scratch)}, stream);
    };
    layer_.backward = [=, x = x_, y = y_](const Binding& b, cudaStream_t stream) {
      if (b.gradient(x)) mean_backward(shape, {b.gradient(y), b.adds(0), b.gradient(x)}, stream);
    };
  }

  void make_gate() {
    const GateShape shape{ex_.n, ex_.positions(), ex_.c};
    layer_.scratch = gate_backward_workspace(shape);
    layer_.forward = [=, x = x_, z = node_.inputs[1], y = y_](const Binding& b, cudaStream_t stream) {
      gate_forward(shape, {b.halves(x), b.halves(z), b.halves(y)}, stream);
    };
    layer_.backward = [=, x = x_, z = node_.inputs[1], y = y_](const Binding& b, cudaStream_t stream) {
      gate_backward(shape,
                    {b.halves(x), b.halves(z), b.gradient(y), b.adds(0), b.gradient(x), b.adds(1), b.gradient(z),
                     reinterpret_cast<float*>(b.scratch)},
                    stream);
    };
  }

  void make_attention() {
    const Extents phi = extents(node_.inputs[1]);
    const AttentionShape shape{ex_.n, ex_.positions(), phi.positions(), static_cast<int>(program_.shape(x_).c), ex_.c};
    layer_.keeps_y = true;
    layer_.kept = static_cast<size_t>(shape.n) * static_cast<size_t>(shape.queries) * sizeof(float);
    layer_.scratch = attention_workspace(shape);
    layer_.forward = [=, in = node_.inputs, y = y_](const Binding& b, cudaStream_t stream) {
      attention_forward(shape, {b.halves(in[0]), b.halves(in[1]), b.halves(in[2]), b.halves(y), reinterpret_cast<float*>(b.kept)}, stream);
    };
    layer_.backward = [=, in = node_.inputs, y = y_, name = node_.name](const Binding& b, cudaStream_t stream) {
      for (size_t i = 0; i < 3; i++)
        if (b.adds(i) || !b.gradient(in[i]))
          throw Error("ERR_GRAPH_INVALID", name + ": attention shares its inputs with nothing on the GPU");
      attention_backward(shape,
                         {b.halves(in[0]), b.halves(in[1]), b.halves(in[2]), b.halves(y), b.gradient(y), reinterpret_cast<float*>(b.kept),
                          b.gradient(in[0]), b.gradient(in[1]), b.gradient(in[2]), reinterpret_cast<float*>(b.scratch)},
                         stream);
    };
  }

  void make_dropout() {
    const Extents e = ey_;
    const int channels = static_cast<int>(program_.shape(y_).c);
    const float rate = options_.dropout;
    layer_.keeps_x = false;
    layer_.random = true;
    layer_.salt = static_cast<unsigned long long>(y_) * 0x9e3779b97f4a7c15u;  // the CPU's: so that the masks are the same
    layer_.forward = [=, x = x_, y = y_](const Binding& b, cudaStream_t stream) {
      dropout({e.rows(), e.c, channels, rate, b.seed, b.halves(x), b.halves(y), false}, stream);
    };
    layer_.backward = [=, x = x_, y = y_](const Binding& b, cudaStream_t stream) {
      if (b.gradient(x)) dropout({e.rows(), e.c, channels, rate, b.seed, b.gradient(y), b.gradient(x), b.adds(0)}, stream);
    };
  }

  void make_temporal_softmax() {
    if (!is_f32(program_, x_)) throw Error("ERR_GRAPH_INVALID", node_.name + ": a temporal softmax follows a dense layer on the GPU");
    const TemporalSoftmaxShape shape{ex_.n, ex_.t, static_cast<int>(program_.shape(y_).c), ex_.c};
    layer_.forward = [=, x = x_, y = y_](const Binding& b, cudaStream_t stream) {
      temporal_softmax_forward(shape, b.floats(x), b.floats(y), stream);
    };
    layer_.backward = [=, x = x_, y = y_](const Binding& b, cudaStream_t stream) {
      temporal_softmax_backward(shape, b.floats(x), b.gradient32(y), b.gradient(x), stream);
    };
  }

  const Program& program_;
  const Node& node_;
  const TrainingOptions& options_;
  int x_, y_;
  Extents ex_, ey_;
  TrainLayer layer_;
};

}  // namespace

bool is_f32(const Program& program, int tensor) {
  const int producer = program.tensors[static_cast<size_t>(tensor)].producer;
  if (producer < 0) return false;
  const OpKind kind = program.nodes[static_cast<size_t>(producer)].kind;
  return kind == OpKind::dense || kind == OpKind::temporal_softmax;
}

std::vector<TrainLayer> lower_training(const Program& program, const TrainingOptions& options) {
  std::vector<TrainLayer> layers;
  for (size_t i = 0; i < program.nodes.size(); i++) layers.push_back(LayerMaker(program, static_cast<int>(i), options).make());
  return layers;
}

}  // namespace tvn::cuda
