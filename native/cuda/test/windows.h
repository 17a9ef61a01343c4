// Shapes that break kernels with windows: prime and tiny maps, kernels and strides larger than them, strides larger than kernels.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "core/shape.h"
#include "cuda/kernels/shape.h"
#include "cuda/test/test.h"

namespace tvn::cuda::test {

inline constexpr int hostile_channels[] = {1, 3, 7, 8, 9, 16, 24, 65};
inline constexpr int hostile_lengths[] = {1, 2, 3, 5, 8, 13};

template <class T, size_t Count>
T any_of(Random& random, const T (&values)[Count]) {
  return values[random.integer(0, static_cast<int>(Count) - 1)];
}

struct Int3 {
  int t, h, w;
};

/** What SAME pads in front. */
inline int same_pad(int extent, int kernel, int stride) { return static_cast<int>(same_axis(extent, kernel, stride).pad_front); }

/** x has `channels`, stored in multiples of 8; y and the padding follow from kernel, stride and SAME (as TensorFlow has it) or VALID. */
struct WindowCase {
  Extents x, y;
  Window window;
  int channels;

  WindowCase(Int3 map, int n, int channel_count, Int3 k, Int3 stride, bool same) : channels(channel_count) {
    const auto axis = [&](int extent, int taps, int step) { return same ? same_axis(extent, taps, step) : valid_axis(extent, taps, step); };
    const WindowAxis t = axis(map.t, k.t, stride.t), h = axis(map.h, k.h, stride.h), w = axis(map.w, k.w, stride.w);
    x = {n, map.t, map.h, map.w, stored_channels(channels)};
    y = {n, static_cast<int>(t.out), static_cast<int>(h.out), static_cast<int>(w.out), x.c};
    window = {k.t,
              k.h,
              k.w,
              stride.t,
              stride.h,
              stride.w,
              static_cast<int>(t.pad_front),
              static_cast<int>(h.pad_front),
              static_cast<int>(w.pad_front)};
  }

  std::string describe() const {
    const auto list = [](const std::vector<int>& values) {
      std::string text;
      for (const int value : values) text += (text.empty() ? "" : " ") + std::to_string(value);
      return text;
    };
    const Window& k = window;
    return "x " + list({x.n, x.t, x.h, x.w, channels}) + ", kernel " + list({k.kt, k.kh, k.kw}) + ", stride " + list({k.st, k.sh, k.sw}) +
           ", padding " + list({k.pt, k.ph, k.pw}) + ", y " + list({y.t, y.h, y.w});
  }
  std::vector<half> random_x(Random& random) const { return random_rows<half>(random, static_cast<size_t>(x.rows()), channels, x.c); }
  std::vector<half> random_y(Random& random) const { return random_rows<half>(random, static_cast<size_t>(y.rows()), channels, y.c); }

  /** Calls f(x index, y index, tap, stored channel) for every pair that a window brings together: by y, then by tap. */
  template <class F>
  void for_each_pair(const F& f) const {
    const Window& k = window;
    for (int n = 0; n < y.n; n++)
      for (int ot = 0; ot < y.t; ot++)
        for (int oh = 0; oh < y.h; oh++)
          for (int ow = 0; ow < y.w; ow++)
            for (int tap = 0; tap < taps(k); tap++) {
              const int t = ot * k.st - k.pt + tap / (k.kh * k.kw), h = oh * k.sh - k.ph + tap / k.kw % k.kh,
                        w = ow * k.sw - k.pw + tap % k.kw;
              if (t < 0 || t >= x.t || h < 0 || h >= x.h || w < 0 || w >= x.w) continue;
              for (int c = 0; c < x.c; c++)
                f(static_cast<size_t>((((n * x.t + t) * x.h + h) * x.w + w) * x.c + c),
                  static_cast<size_t>((((n * y.t + ot) * y.h + oh) * y.w + ow) * y.c + c), tap, c);
            }
  }
};

}  // namespace tvn::cuda::test
