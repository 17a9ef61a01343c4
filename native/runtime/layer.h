// A Layer is one node of a program bound to kernels: it chooses them, owns what outlives a call (packed weights, batch statistics)
// and runs them forward and, in training, backward. Plan and Trainer own the memory between layers.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/isa.h"
#include "core/thread_pool.h"
#include "graph/graph.h"
#include "graph/passes.h"

namespace tvn {

struct LayerOptions {
  int64_t batch;
  Purpose purpose;
  Isa isa;
  int threads;
  Precision precision = Precision::f32;  // of the convolutions, in inference
};

/** Where a layer's data lies; fixed once memory is planned. Tensors are dense NTHWC with the whole batch. */
struct Operands {
  std::vector<const float*> x;  // inputs; the clip of normalize is bytes behind this pointer
  float* y = nullptr;
  std::vector<float*> parameters;  // in the row's order, null where absent
  float* scratch = nullptr;        // Layer::scratch floats
  // training
  const float* dy = nullptr;
  std::vector<float*> dx;        // null where no gradient is wanted
  std::vector<char> accumulate;  // add to dx instead of overwriting it
  std::vector<float*> parameter_gradients;
};

/** What changes from run to run. */
struct Run {
  ThreadPool& pool;
  uint64_t seed;  // of this training step
};

class Layer {
 public:
  virtual ~Layer() = default;

  /** Name of the forward kernel. */
  virtual const char* kernel() const = 0;
  virtual void forward(const Operands&, const Run&) = 0;
  virtual void backward(const Operands&, const Run&) = 0;

  /** Packs weights; called before the first forward and whenever they have changed. */
  virtual void pack(const Operands&, ThreadPool&) {}
  /** Whether parameter `slot` is read by pack only. */
  virtual bool packs(size_t /*slot*/) const { return false; }
  /** The packed weights. */
  virtual std::span<const float> packed() const { return {}; }
  /** Floats of scratch that forward or backward needs. */
  virtual size_t scratch() const { return 0; }

  /** What backward reads besides dy. */
  virtual bool keeps_x() const { return true; }
  virtual bool keeps_y() const { return false; }
  /** Whether y may be x[0], and dx[0] may be dy. */
  virtual bool in_place() const { return false; }
  /** Whether backward honours `accumulate` and a null dx; where not, the trainer hands it memory of its own. */
  virtual bool accumulates() const { return true; }
};

/** The layer of a node; every kind has one. */
std::unique_ptr<Layer> make_layer(const Program& program, const Node& node, const LayerOptions& options);

// By group; make_layer calls them.
std::unique_ptr<Layer> make_convolution_layer(const Program&, const Node&, const LayerOptions&);  // conv, depthwise
std::unique_ptr<Layer> make_spatial_layer(const Program&, const Node&, const LayerOptions&);      // pool, mean, attention
std::unique_ptr<Layer> make_pointwise_layer(const Program&, const Node&,
                                            const LayerOptions&);  // normalize, batch_norm, activation, add, gate, dropout
std::unique_ptr<Layer> make_head_layer(const Program&, const Node&, const LayerOptions&);  // dense, temporal_softmax

/** The shape with the batch filled in. */
inline Shape batched(Shape shape, int64_t batch) {
  shape.n = batch;
  return shape;
}

}  // namespace tvn
