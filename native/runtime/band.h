// Layers that follow each other may compute a band of rows at a time: the first makes some rows, the next what follows from them, and so
// on, so that what lies between them stays in cache and never becomes a tensor. Every row has the bits that it has without bands.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "graph/graph.h"
#include "runtime/layer.h"

namespace tvn {

/** Bytes. */
struct BandLimits {
  size_t least_tensor = 512 << 10;  // between two layers of a band: a smaller one stays in cache anyway
  size_t rows = 384 << 10;          // between all layers of a band, at a time: with weights they should stay in L2
};
constexpr BandLimits no_bands{SIZE_MAX, 0};

class Band {
 public:
  /** The longest one that begins with node `first`, if there is any. */
  static std::optional<Band> find(const Program& program, const std::vector<std::unique_ptr<Layer>>& layers, size_t first, int64_t batch,
                                  int threads, const BandLimits& limits);

  size_t size() const { return size_; }
  /** Floats that run needs. */
  size_t scratch() const { return static_cast<size_t>(threads_ * of_thread_); }

  /** Runs its layers; `at` are theirs. */
  void run(std::span<const Operands> at, float* scratch, ThreadPool& pool) const;

 private:
  static constexpr size_t most_layers = 4;

  struct Range {
    int64_t begin, end;
    bool empty() const { return begin >= end; }
  };
  struct Link {
    Layer* layer;
    RowWindow window;
    int64_t x_height, height;     // rows of a frame of x and y
    int64_t x_row_bytes, floats;  // of a row of x and of y
    int64_t buffer = 0;           // where the rows of y lie in a thread's scratch, unless it is the last
  };

  Band(std::span<const Link> links, const Shape& y, int64_t batch);
  bool fit(size_t bytes);
  void reserve(int threads);
  Range reads(size_t layer, Range rows) const;
  Range segment(int64_t i) const;
  /** Calls visit(layer, rows of y, rows of x, first rows of the buffers) in the order in which rows are computed. */
  template <class Keep, class Compute>
  void walk(Range rows, const Keep& keep, const Compute& compute) const;

  std::array<Link, most_layers> links_{};
  size_t size_;
  int64_t frames_, all_frames_;  // of a clip, of the batch
  int64_t rows_ = 0;             // of the last layer at a time
  int threads_ = 1;
  int64_t segments_ = 1;  // of a frame, which are computed apart
  int64_t of_thread_ = 0, layer_scratch_ = 0;
};

}  // namespace tvn
