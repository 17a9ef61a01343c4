// The network as it came through the C table, as the Program it was on the other side.
#pragma once

#include <span>

#include "cuda/backend.h"
#include "cuda/kernels/shape.h"
#include "graph/graph.h"

namespace tvn::cuda {

/** A program with the values of its parameters, which belong to the caller. */
struct Network {
  Program program;
  std::vector<std::span<const float>> values;  // one a parameter
};

/** Throws Error("ERR_GRAPH_INVALID") where indices or extents cannot be, or a tensor is too large for the GPU's kernels. */
Network read_program(const TvnCudaProgram& from, int64_t batch);

/** Throws Error("ERR_MEMORY") where a tensor of so many clips is too large for the GPU's kernels. */
void require_size(const Program& program, int64_t batch);

/** A tensor as it is stored. */
Extents extents_of(const Program& program, int tensor, int64_t batch);
Window window_of(const tvn::Window& window);

/** How a parameter lies on the device: [lines][columns] with its last two axes as stored, and all before them in front. */
struct StoredParameter {
  int64_t outer;          // taps
  int64_t rows, columns;  // 1 and C for vectors
  int64_t stored_rows, stored_columns;
  int64_t size() const { return outer * stored_rows * stored_columns; }
};
/** A weight's rows are channels as well; those of a depthwise filter are taps. */
StoredParameter stored_parameter(const ParameterInfo& parameter);

/** Calls f(dense index, stored index) for every value of a parameter. */
template <class F>
void for_stored(const StoredParameter& p, const F& f) {
  int64_t dense = 0;
  for (int64_t o = 0; o < p.outer; o++)
    for (int64_t r = 0; r < p.rows; r++)
      for (int64_t c = 0; c < p.columns; c++) f(dense++, (o * p.stored_rows + r) * p.stored_columns + c);
}

}  // namespace tvn::cuda
