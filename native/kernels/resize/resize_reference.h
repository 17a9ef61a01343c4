// Resizing in f64: what the kernels approximate in fixed point.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/resize/resize.h"

namespace tvn {

/** gain · Σ wy·wx·in + offset before rounding and clamping, [size, size, 3]. */
inline std::vector<double> resize_reference(const ResizeArgs& a) {
  const double scale = static_cast<double>(a.side) / static_cast<double>(a.size), support = std::max(scale, 1.0);
  std::vector<double> weights(static_cast<std::size_t>(a.size * a.side));
  for (int64_t i = 0; i < a.size; i++) {
    double* const w = weights.data() + i * a.side;
    double total = 0;
    for (int64_t p = 0; p < a.side; p++) {
      w[p] = std::max(1 - std::fabs(static_cast<double>(p) + 0.5 - (static_cast<double>(i) + 0.5) * scale) / support, 0.0);
      total += w[p];
    }
    for (int64_t p = 0; p < a.side; p++) w[p] /= total;
  }
  std::vector<double> out;
  std::vector<double> row(static_cast<std::size_t>(a.side * 3));
  for (int64_t y = 0; y < a.size; y++) {
    for (int64_t i = 0; i < a.side * 3; i++) {
      double sum = 0;
      for (int64_t p = 0; p < a.side; p++)
        sum += weights[static_cast<std::size_t>(y * a.side + p)] * a.in[((a.top + p) * a.width + a.left) * 3 + i];
      row[static_cast<std::size_t>(i)] = sum;
    }
    for (int64_t x = 0; x < a.size; x++)
      for (int64_t channel = 0; channel < 3; channel++) {
        double sum = 0;
        for (int64_t p = 0; p < a.side; p++)
          sum += weights[static_cast<std::size_t>((a.flip ? a.size - 1 - x : x) * a.side + p)] *
                 row[static_cast<std::size_t>(p * 3 + channel)];
        out.push_back(a.gain * sum + a.offset);
      }
  }
  return out;
}

}  // namespace tvn
