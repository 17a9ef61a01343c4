// The distinct layers of TVN-1 to TVN-4, one clip, for tests that look at samples of their results.
//
// On a GPU they have their own sizes. The emulation takes smaller ones: maps lose whole strides, which leaves their padding as it is, and
// then channels lose multiples of 64, down to what `Caps` says. TVN_PRESET_LAYERS=full or capped decides otherwise, TVN_CUDA_NETWORKS names
// another folder of networks.
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "cuda/kernels/shape.h"
#include "cuda/test/test.h"
#include "graph/graph.h"

namespace tvn::cuda::test {

struct PresetLayer {
  std::string name;  // "tvn-1 blocks.0.0.spatial", the first that has it
  Extents x, y;      // channels as stored
  int channels, outputs;
  Window window;
  Pooling pooling = Pooling::max;
  Extent extent = Extent::clip;
  bool capped = false;

  std::string describe() const;
};

/** Of what one kernel does. */
struct Caps {
  double work;           // multiply-accumulates of a convolution, in whole tiles; elements of everything else
  int least_extent = 9;  // of a map, and at least a window and two strides
  int least_channels = 64;
};

/** Layers of these kinds without two alike. Prints how many there are and how many are smaller than in the network. */
std::vector<PresetLayer> preset_layers(std::initializer_list<OpKind> kinds, const Caps& caps);

/** Random halves in rows of `stored` channels, of which those that are not there are zero; quicker than random_rows. */
std::vector<half> fill_rows(Random& random, size_t rows, int channels, int stored);

/** Some of `size` indices, by lot, the first and the last among them; all if there are not more than `most`. */
std::vector<size_t> samples(Random& random, size_t size, size_t most = 200);

inline double value(const std::vector<half>& values, size_t i) { return static_cast<double>(to_float(values[i])); }

/** A sum with the sum of its terms' magnitudes. */
struct Sum {
  double value = 0, magnitude = 0;
  void add(double term) {
    value += term;
    magnitude += std::fabs(term);
  }
};

/** Holds samples of an array against want(index), a Sum. Nothing in it may be left as it was, which is NaN. */
template <class T, class F>
void expect_samples(Random& random, DeviceArray<T>& array, const Tolerance& tolerance, const F& want) {
  const std::vector<T> values = array.read();
  for (size_t i = 0; i < values.size(); i++)
    if (!std::isfinite(to_float(values[i]))) return fail("element " + std::to_string(i) + " was not written");
  std::vector<double> got, expected, magnitudes;
  for (const size_t i : samples(random, values.size())) {
    const Sum sum = want(i);
    got.push_back(static_cast<double>(to_float(values[i])));
    expected.push_back(sum.value);
    magnitudes.push_back(sum.magnitude);
  }
  expect_close(got, expected, tolerance, magnitudes);
}

/** A position of a tensor by its row. */
struct Place {
  int n, t, h, w;
  Place(const Extents& e, size_t row) {
    w = static_cast<int>(row % static_cast<size_t>(e.w)), row /= static_cast<size_t>(e.w);
    h = static_cast<int>(row % static_cast<size_t>(e.h)), row /= static_cast<size_t>(e.h);
    t = static_cast<int>(row % static_cast<size_t>(e.t));
    n = static_cast<int>(row / static_cast<size_t>(e.t));
  }
};
inline size_t row_of(const Extents& e, int n, int t, int h, int w) {
  return ((static_cast<size_t>(n) * static_cast<size_t>(e.t) + static_cast<size_t>(t)) * static_cast<size_t>(e.h) +
          static_cast<size_t>(h)) *
             static_cast<size_t>(e.w) +
         static_cast<size_t>(w);
}

/** Calls f(row of x, tap) for the window of a row of y. */
template <class F>
void for_window(const PresetLayer& l, size_t y_row, const F& f) {
  const Window& k = l.window;
  const Place o(l.y, y_row);
  for (int a = 0; a < k.kt; a++)
    for (int b = 0; b < k.kh; b++)
      for (int c = 0; c < k.kw; c++) {
        const int t = o.t * k.st - k.pt + a, h = o.h * k.sh - k.ph + b, w = o.w * k.sw - k.pw + c;
        if (t >= 0 && t < l.x.t && h >= 0 && h < l.x.h && w >= 0 && w < l.x.w) f(row_of(l.x, o.n, t, h, w), (a * k.kh + b) * k.kw + c);
      }
}

/** Calls f(row of y, tap) for every window that a row of x is in. */
template <class F>
void for_windows_of(const PresetLayer& l, size_t x_row, const F& f) {
  const Window& k = l.window;
  const Place i(l.x, x_row);
  const auto output = [](int at, int stride, int extent) { return at >= 0 && at % stride == 0 && at / stride < extent ? at / stride : -1; };
  for (int a = 0; a < k.kt; a++)
    for (int b = 0; b < k.kh; b++)
      for (int c = 0; c < k.kw; c++) {
        const int t = output(i.t + k.pt - a, k.st, l.y.t), h = output(i.h + k.ph - b, k.sh, l.y.h), w = output(i.w + k.pw - c, k.sw, l.y.w);
        if (t >= 0 && h >= 0 && w >= 0) f(row_of(l.y, i.n, t, h, w), (a * k.kh + b) * k.kw + c);
      }
}

}  // namespace tvn::cuda::test
