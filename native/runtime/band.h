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

/** What is worth a band, in bytes. */
struct BandLimits {
  size_t least_tensor;  // between two layers, for every thread: a smaller one stays in cache anyway
  size_t rows;          // between all layers of a band, at a time
};
/** For the L2 cache of this machine; TVN_BANDS=off: no bands. */
BandLimits band_limits();
constexpr BandLimits no_bands{SIZE_MAX, 0};

class Band {
 public:
  /** The longest one that begins with node `first`, if there is any. */
  static std::optional<Band> find(const Program& program, const std::vector<std::unique_ptr<Layer>>& layers, size_t first, int64_t batch,
                                  int threads, const BandLimits& limits);

  /** The same with 2^shift times the bytes for rows; null where that is no other band. */
  std::optional<Band> with_rows(int shift) const;

  /** How many layers it has. */
  size_t size() const { return size_; }
  /** Floats that run needs. */
  size_t scratch() const { return static_cast<size_t>(threads_ * thread_scratch_); }

  /** Runs its layers; `at` are theirs. */
  void run(std::span<const Operands> at, float* scratch, ThreadPool& pool) const;

 private:
  static constexpr size_t most_layers = 4;

  struct Range {
    int64_t begin, end;
    bool empty() const { return begin >= end; }
    int64_t size() const { return end - begin; }
  };
  struct Link {
    Layer* layer;
    RowWindow window;
    int64_t x_height, height, width;  // rows of a frame of x and y, positions of a row of y
    int64_t x_row_bytes, row;         // of a row of x; floats of a row of y
    int64_t buffer = 0;               // where rows of y lie in a thread's scratch, unless it is the last
  };

  Band(std::span<const Link> links, const Shape& y, int64_t batch, int threads, size_t bytes);
  bool fit();
  void plan_scratch();
  int64_t place_buffers(int64_t rows);
  int64_t bands() const;
  Range reads(size_t layer, Range rows) const;
  Range segment(int64_t i) const;
  template <class Keep, class Compute>
  void walk(Range rows, const Keep& keep, const Compute& compute) const;

  std::array<Link, most_layers> links_{};
  size_t size_;
  int64_t frames_, all_frames_;  // of a clip, of the batch
  int threads_;
  size_t bytes_;          // for rows
  int64_t rows_ = 0;      // of the last layer at a time
  int64_t segments_ = 1;  // of a frame, which are computed apart
  int64_t buffers_ = 0, thread_scratch_ = 0;
};

}  // namespace tvn
