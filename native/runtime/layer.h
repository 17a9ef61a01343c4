// A Layer is one node of a program bound to kernels: it chooses them, owns what outlives a call (packed weights, batch statistics)
// and runs them forward and, in training, backward. Plan and Trainer own the memory between layers.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "core/isa.h"
#include "core/thread_pool.h"
#include "core/tiling.h"
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
  std::vector<float*> dx;                   // null where no gradient is wanted
  std::vector<char> accumulate;             // add to dx instead of overwriting it
  std::vector<float*> parameter_gradients;  // all null where none is wanted
};

/** What changes from run to run. */
struct Run {
  ThreadPool& pool;
  uint64_t seed;  // of this training step
};

/** Row r of y is made from rows [r·stride − pad, r·stride − pad + kernel) of x[0] in the same frame. */
struct RowWindow {
  int64_t kernel = 1, stride = 1, pad = 0;
  int64_t unit = 1;     // rows that are computed alone begin at a multiple of it
  int64_t x_bytes = 4;  // of an element of x[0]
};

/** Some rows of one frame of y, and the rows of x[0] that they are made from. */
struct Rows {
  int64_t clip, frame;
  int64_t first, count;  // rows of y
  const float* x;        // the first of x_rows rows
  int64_t x_rows;
  float* y;  // row `first`
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
  /** Ways to cut the work of forward, besides the usual one; pack must follow a change. In inference only. */
  virtual std::span<const Tiling> tilings() const { return {}; }
  virtual void set_tiling(const Tiling&) {}
  /** Floats of scratch that forward or backward needs. */
  virtual size_t scratch() const { return 0; }

  /** For a layer that can compute some rows alone, with the bits that they have in the whole. */
  virtual std::optional<RowWindow> row_window() const { return std::nullopt; }
  /** The same as forward for some rows, on this thread; `at` holds the whole of every other input. */
  virtual void forward_rows(const Operands& /*at*/, const Rows&, float* /*scratch*/, ThreadPool& /*serial*/) {}
  /** Floats of scratch for that. */
  virtual size_t row_scratch(const Rows&) const { return 0; }

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

/** The window of a kernel's shape along H, where frames do not mix. */
template <class S>
std::optional<RowWindow> row_window_of(const S& shape, int64_t unit = 1) {
  const Window& k = shape.window;
  if (k.kt != 1 || k.st != 1 || k.pt != 0) return std::nullopt;
  return RowWindow{k.kh, k.sh, k.ph, unit};
}

/** A kernel's shape for some rows alone. */
template <class S>
S shape_of_rows(S shape, const Rows& rows) {
  shape.x = {1, 1, rows.x_rows, shape.x.w, shape.x.c};
  shape.y = {1, 1, rows.count, shape.y.w, shape.y.c};
  shape.window.ph = std::max<int64_t>(shape.window.ph - rows.first * shape.window.sh, 0);
  return shape;
}

/** Where the rows begin in a tensor with the shape of the whole y. */
inline int64_t offset_of_rows(const Shape& y, const Rows& rows) { return ((rows.clip * y.t + rows.frame) * y.h + rows.first) * y.w * y.c; }

/** The shape with the batch filled in. */
inline Shape batched(Shape shape, int64_t batch) {
  shape.n = batch;
  return shape;
}

}  // namespace tvn
