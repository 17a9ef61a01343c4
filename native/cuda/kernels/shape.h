// Shapes of the GPU's tensors. Plain ints: a plan refuses tensors of 2³¹ elements and more.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/enums.h"
#include "cuda/device/platform.h"

namespace tvn::cuda {

/** A dense NTHWC tensor; c is the number of stored channels, a multiple of 8. */
struct Extents {
  int n, t, h, w, c;
  __host__ __device__ int positions() const { return t * h * w; }  // of a clip
  __host__ __device__ int rows() const { return n * positions(); }
  __host__ __device__ size_t size() const { return static_cast<size_t>(rows()) * static_cast<size_t>(c); }
};

/** Position o of y sees x from o·stride − pad. */
struct Window {
  int kt = 1, kh = 1, kw = 1;
  int st = 1, sh = 1, sw = 1;
  int pt = 0, ph = 0, pw = 0;
};

__host__ __device__ inline int taps(const Window& w) { return w.kt * w.kh * w.kw; }

}  // namespace tvn::cuda
