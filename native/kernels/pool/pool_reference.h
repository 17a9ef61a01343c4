// Pooling as its contract says it.
#pragma once

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/pool/pool.h"

namespace tvn {

/** Calls f(window's y index, its real elements' x indices in (kt, kh, kw) order, their number) for every window and channel. */
template <class F>
void for_each_pool_window(const PoolShape& s, const F& f) {
  const Window& k = s.window;
  std::vector<int64_t> elements(static_cast<std::size_t>(k.taps()));
  for (int64_t n = 0; n < s.y.n; n++)
    for (int64_t ot = 0; ot < s.y.t; ot++)
      for (int64_t oh = 0; oh < s.y.h; oh++)
        for (int64_t ow = 0; ow < s.y.w; ow++)
          for (int64_t c = 0; c < s.y.c; c++) {
            int64_t count = 0;
            for (int64_t kt = 0; kt < k.kt; kt++)
              for (int64_t kh = 0; kh < k.kh; kh++)
                for (int64_t kw = 0; kw < k.kw; kw++) {
                  const int64_t t = ot * k.st + kt - k.pt, h = oh * k.sh + kh - k.ph, w = ow * k.sw + kw - k.pw;
                  if (t < 0 || t >= s.x.t || h < 0 || h >= s.x.h || w < 0 || w >= s.x.w) continue;
                  elements[static_cast<std::size_t>(count++)] = (((n * s.x.t + t) * s.x.h + h) * s.x.w + w) * s.x.c + c;
                }
            f((((n * s.y.t + ot) * s.y.h + oh) * s.y.w + ow) * s.y.c + c, elements.data(), count);
          }
}

template <class Real>
void pool_forward_reference(const PoolShape& s, const Real* x, Real* y) {
  for_each_pool_window(s, [&](int64_t iy, const int64_t* elements, int64_t count) {
    if (s.pooling == Pooling::max) {
      Real largest = -std::numeric_limits<Real>::infinity();
      for (int64_t i = 0; i < count; i++) {
        const Real value = x[elements[i]];
        if (value > largest || std::isnan(value)) largest = value;
        if (std::isnan(largest)) break;
      }
      y[iy] = largest;
    } else {
      Real sum = 0;
      for (int64_t i = 0; i < count; i++) sum += x[elements[i]];
      y[iy] = sum / static_cast<Real>(count);
    }
  });
}

template <class Real>
void pool_backward_reference(const PoolShape& s, const Real* x, const Real* y, const Real* dy, bool accumulate, Real* dx) {
  if (!accumulate)
    for (int64_t i = 0; i < s.x.size(); i++) dx[i] = 0;
  for_each_pool_window(s, [&](int64_t iy, const int64_t* elements, int64_t count) {
    if (s.pooling == Pooling::max) {
      int64_t i = 0;
      while (i < count && x[elements[i]] < y[iy]) i++;
      if (i < count) dx[elements[i]] += dy[iy];
    } else {
      for (int64_t i = 0; i < count; i++) dx[elements[i]] += dy[iy] / static_cast<Real>(count);
    }
  });
}

}  // namespace tvn
