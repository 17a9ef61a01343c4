// One op outside of any graph, on tensors that belong to the caller: what TensorFlow.js's kernels and layers are made of.
#pragma once

#include <memory>
#include <vector>

#include "runtime/layer.h"

namespace tvn {

/** What the op is. Shapes are those of whole tensors, with their batch; windows may be padded in any way. */
struct SingleOp {
  OpKind kind;  // conv, depthwise, pool, activation, mean, gate or attention
  std::vector<Shape> x;
  Shape y;
  Attributes attributes;  // kernel, stride, function, pooling and extent, where the kind reads them
  Int3 pad{0, 0, 0};      // elements in front
  bool bias = false;
  Purpose purpose = Purpose::inference;  // in training, it has a backward pass
};

class SingleLayer {
 public:
  /** Throws Error("ERR_ARGUMENT") where the shapes do not fit each other, a window holds no element of x, or one more would fit. */
  SingleLayer(const SingleOp& op, Isa isa, int threads);

  Layer& layer() { return *layer_; }
  bool trains() const { return trains_; }
  /** Of packed weights, in training those of the gradient too. */
  std::size_t bytes() const { return layer_->packed().size_bytes() * (trains_ ? 2 : 1); }

  /** Floats of the tensors and parameters; a parameter that is absent has 0. */
  const std::vector<int64_t>& x_sizes() const { return x_sizes_; }
  int64_t y_size() const { return y_size_; }
  const std::vector<int64_t>& parameter_sizes() const { return parameter_sizes_; }

 private:
  std::vector<int64_t> x_sizes_, parameter_sizes_;
  int64_t y_size_;
  bool trains_;
  std::unique_ptr<Layer> layer_;
};

}  // namespace tvn
