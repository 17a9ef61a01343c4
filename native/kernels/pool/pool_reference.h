// Pooling as its contract says it.
#pragma once

#include <cmath>
#include <limits>

#include "kernels/pool/pool.h"

namespace tvn {

/** Calls f(y index, each) for every window and channel; each(g) calls g(x index) for the window's real elements in (kt, kh, kw) order. */
template <class F>
void for_each_pool_window(const PoolShape& s, const F& f) {
  const Window& k = s.window;
  for (int64_t n = 0; n < s.y.n; n++)
    for (int64_t ot = 0; ot < s.y.t; ot++)
      for (int64_t oh = 0; oh < s.y.h; oh++)
        for (int64_t ow = 0; ow < s.y.w; ow++)
          for (int64_t c = 0; c < s.y.c; c++) {
            const auto each = [&](const auto& g) {
              for (int64_t kt = 0; kt < k.kt; kt++)
                for (int64_t kh = 0; kh < k.kh; kh++)
                  for (int64_t kw = 0; kw < k.kw; kw++) {
                    const int64_t t = ot * k.st + kt - k.pt, h = oh * k.sh + kh - k.ph, w = ow * k.sw + kw - k.pw;
                    if (t < 0 || t >= s.x.t || h < 0 || h >= s.x.h || w < 0 || w >= s.x.w) continue;
                    g((((n * s.x.t + t) * s.x.h + h) * s.x.w + w) * s.x.c + c);
                  }
            };
            f((((n * s.y.t + ot) * s.y.h + oh) * s.y.w + ow) * s.y.c + c, each);
          }
}

template <class Real>
void pool_forward_reference(const PoolShape& s, const Real* x, Real* y) {
  for_each_pool_window(s, [&](int64_t iy, const auto& each) {
    Real largest = -std::numeric_limits<Real>::infinity(), sum = 0, count = 0;
    each([&](int64_t ix) {
      if (x[ix] > largest || std::isnan(x[ix])) largest = std::isnan(largest) ? largest : x[ix];
      sum += x[ix];
      count++;
    });
    y[iy] = s.pooling == Pooling::max ? largest : sum / count;
  });
}

template <class Real>
void pool_backward_reference(const PoolShape& s, const Real* x, const Real* y, const Real* dy, bool accumulate, Real* dx) {
  if (!accumulate)
    for (int64_t i = 0; i < s.x.size(); i++) dx[i] = 0;
  for_each_pool_window(s, [&](int64_t iy, const auto& each) {
    if (s.pooling == Pooling::max) {
      bool found = false;  // the first of the largest takes the gradient
      each([&](int64_t ix) {
        if (found || x[ix] < y[iy]) return;
        dx[ix] += dy[iy];
        found = true;
      });
    } else {
      Real count = 0;
      each([&](int64_t) { count++; });
      each([&](int64_t ix) { dx[ix] += dy[iy] / count; });
    }
  });
}

}  // namespace tvn
