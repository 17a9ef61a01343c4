#include "cuda/runtime/inference.h"

#include "core/error.h"
#include "cuda/kernels/attention.h"
#include "cuda/kernels/depthwise.h"
#include "cuda/kernels/elementwise.h"
#include "cuda/kernels/gate.h"
#include "cuda/kernels/head.h"
#include "cuda/kernels/mean.h"
#include "cuda/kernels/pool.h"
#include "cuda/runtime/inference_convolutions.h"

namespace tvn::cuda {
namespace {

class Lowering {
 public:
  Lowering(const Network& network, int64_t batch, int resident_blocks, Weights& weights)
      : builder_(network, batch, weights), vectors_(builder_, resident_blocks), convolutions_(builder_, vectors_) {}

  Inference run() {
    for (const Node& node : builder_.nodes())
      if (!builder_.is_taken(node)) lower(node);
    vectors_.flush();
    return builder_.result();
  }

 private:
  void lower(const Node& node) {
    const bool of_vector = node.kind != OpKind::normalize && builder_.is_vector(node.inputs[0]);
    const bool maps_only = node.kind == OpKind::depthwise || node.kind == OpKind::pool || node.kind == OpKind::add ||
                           node.kind == OpKind::mean || node.kind == OpKind::attention;
    if (of_vector && maps_only)
      throw Error("ERR_GRAPH_INVALID", node.name + ": the GPU has no kernel for a " + std::string(row(node.kind).kind) + " of means");
    if (!builder_.is_vector(node.output) || node.kind == OpKind::temporal_softmax) {
      std::vector<int> needed = node.inputs;
      if (node.has(2)) needed[2] = -1;  // a scale may stay behind: the convolution may compute it
      vectors_.need(needed);
    }
    switch (node.kind) {
      case OpKind::normalize: return lower_normalize(node);
      case OpKind::conv: return builder_.is_vector(node.output) ? vectors_.add_conv(node) : convolutions_.lower(node);
      case OpKind::depthwise: return lower_depthwise(node);
      case OpKind::pool: return lower_pool(node);
      case OpKind::activation: return builder_.is_vector(node.output) ? vectors_.add_activation(node) : lower_activation(node);
      case OpKind::add: return lower_add(node);
      case OpKind::mean: return lower_mean(node);
      case OpKind::gate: return builder_.is_vector(node.output) ? vectors_.add_gate(node) : lower_gate(node);
      case OpKind::attention: return lower_attention(node);
      case OpKind::dropout: builder_.place(node.output).alias = node.inputs[0]; return;
      case OpKind::dense: return vectors_.add_dense(node);
      case OpKind::temporal_softmax: return lower_temporal_softmax(node);
      case OpKind::batch_norm: break;
    }
    throw Error("ERR_GRAPH_INVALID",
                node.name + ": a " + std::string(row(node.kind).kind) + " that does not follow a convolution cannot run on the GPU");
  }

  /** A step of one node, which reads all its inputs. */
  Step& add_step(const Node& node, const char* kernel) {
    std::vector<int> reads;
    for (const int input : node.inputs)
      if (input >= 0) reads.push_back(input);
    return builder_.add_step(kernel, {builder_.index(node)}, std::move(reads), {node.output});
  }

  void lower_normalize(const Node& node) {
    if (convolutions_.lower_stem(node)) return;
    const int x = node.inputs[0], y = node.output, rows = builder_.extents(y).rows();
    add_step(node, "normalize").launch = [=](const Binding& b, size_t, cudaStream_t stream) {
      normalize(rows, b.bytes(x), b.halves(y), stream);
    };
  }

  void lower_depthwise(const Node& node) {
    if (convolutions_.lower_block(node)) return;
    const DepthwiseShape shape{builder_.extents(node.inputs[0]), builder_.extents(node.output), window_of(node.window)};
    const int64_t w = builder_.halves(node, 0), bias = builder_.floats(node, 1);
    add_step(node, "depthwise").launch = [=, function = node.attributes.function, x = node.inputs[0], y = node.output](
                                             const Binding& b, size_t, cudaStream_t stream) {
      depthwise_forward(shape, {b.halves(x), b.weight<half>(w), b.weight<float>(bias), function, b.halves(y)}, stream);
    };
  }

  void lower_pool(const Node& node) {
    const PoolShape shape{builder_.extents(node.inputs[0]), builder_.extents(node.output), window_of(node.window), node.attributes.pooling};
    add_step(node, "pool").launch = [=, x = node.inputs[0], y = node.output](const Binding& b, size_t, cudaStream_t stream) {
      pool_forward(shape, {b.halves(x), b.halves(y), nullptr}, stream);
    };
  }

  void lower_activation(const Node& node) {
    const Extents e = builder_.extents(node.output);
    add_step(node, "activation").launch = [=, function = node.attributes.function, channels = builder_.channels(node.output),
                                           x = node.inputs[0], y = node.output](const Binding& b, size_t, cudaStream_t stream) {
      activation_forward(function, e.rows(), e.c, channels, b.halves(x), b.halves(y), stream);
    };
  }

  void lower_add(const Node& node) {
    const size_t size = builder_.extents(node.output).size();
    add_step(node, "add").launch = [=, function = node.attributes.function, first = node.inputs[0], second = node.inputs[1],
                                    y = node.output](const Binding& b, size_t, cudaStream_t stream) {
      add_forward(function, size, b.halves(first), b.halves(second), b.halves(y), stream);
    };
  }

  void lower_mean(const Node& node) {
    const Extents x = builder_.extents(node.inputs[0]);
    const bool clip = node.attributes.extent == Extent::clip;
    const MeanShape shape{clip ? x.n : x.n * x.t, clip ? x.positions() : x.h * x.w, x.c};
    Step& step = add_step(node, "mean");
    step.scratch.bytes = mean_workspace(shape);
    step.launch = [=, from = node.inputs[0], y = node.output](const Binding& b, size_t, cudaStream_t stream) {
      mean_forward(shape, {b.halves(from), nullptr, b.floats(y), reinterpret_cast<float*>(b.scratch)}, stream);
    };
  }

  /** A gate that no convolution could take in. Its vector is f32 where it comes from a mean, and is rounded first. */
  void lower_gate(const Node& node) {
    const int x = node.inputs[0], z = node.inputs[1], y = node.output;
    const Extents e = builder_.extents(y);
    const bool rounds = builder_.is_vector(z);
    Step& step = add_step(node, rounds ? "vector_chain, gate" : "gate");
    if (rounds) step.scratch.bytes = static_cast<size_t>(e.n) * static_cast<size_t>(e.c) * sizeof(half);
    step.launch = [=](const Binding& b, size_t, cudaStream_t stream) {
      half* rounded = reinterpret_cast<half*>(b.scratch);
      if (rounds) {
        VectorOp op{e.c, e.c, b.floats(z)};
        op.y16 = rounded;
        vector_chain({e.n, 1, {op}, {0}}, 1, nullptr, stream);
      }
      gate_forward({e.n, e.positions(), e.c}, {b.halves(x), rounds ? rounded : b.halves(z), b.halves(y)}, stream);
    };
  }

  /** Whether channels that are not there may be anything but zero: sigmoid(0) is 0.5, and only `activation` minds. */
  bool may_lack_zeros(int tensor) const {
    const Node* from = builder_.producer(tensor);
    while (from && from->kind == OpKind::pool) from = builder_.producer(from->inputs[0]);
    return from && from->kind != OpKind::activation && from->attributes.function == Function::sigmoid &&
           builder_.channels(tensor) % vector_width != 0;
  }

  void lower_attention(const Node& node) {
    if (may_lack_zeros(node.inputs[0]) || may_lack_zeros(node.inputs[1]))
      throw Error("ERR_GRAPH_INVALID",
                  node.name + ": the GPU has no kernel for attention of sigmoids in channels that are no multiple of 8");
    const Extents theta = builder_.extents(node.inputs[0]), phi = builder_.extents(node.inputs[1]);
    const AttentionShape shape{theta.n, theta.positions(), phi.positions(), builder_.channels(node.inputs[0]), theta.c};
    add_step(node, "attention").launch = [=, inputs = node.inputs, y = node.output](const Binding& b, size_t, cudaStream_t stream) {
      attention_forward(shape, {b.halves(inputs[0]), b.halves(inputs[1]), b.halves(inputs[2]), b.halves(y), nullptr}, stream);
    };
  }

  void lower_temporal_softmax(const Node& node) {
    const Extents x = builder_.extents(node.inputs[0]);
    const TemporalSoftmaxShape shape{x.n, x.t, builder_.channels(node.output), x.c};
    add_step(node, "temporal_softmax").launch = [=, from = node.inputs[0], y = node.output](const Binding& b, size_t, cudaStream_t stream) {
      temporal_softmax_forward(shape, b.floats(from), b.floats(y), stream);
    };
  }

  InferenceBuilder builder_;
  InferenceVectors vectors_;
  InferenceConvolutions convolutions_;
};

}  // namespace

Inference lower_inference(const Network& network, int64_t batch, int resident_blocks, Weights& weights) {
  return Lowering(network, batch, resident_blocks, weights).run();
}

}  // namespace tvn::cuda
