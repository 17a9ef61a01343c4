// Depthwise convolution as its contract says it, one sum after the other.
#pragma once

#include "core/function.h"
#include "kernels/depthwise/depthwise.h"

namespace tvn {

/** Calls f(x index, y index, w index, c) for every product of the convolution. */
template <class F>
void for_each_depthwise_product(const DepthwiseShape& s, const F& f) {
  const Window& k = s.window;
  for (int64_t image = 0; image < s.x.n * s.x.t; image++)
    for (int64_t oh = 0; oh < s.y.h; oh++)
      for (int64_t ow = 0; ow < s.y.w; ow++)
        for (int64_t kh = 0; kh < k.kh; kh++)
          for (int64_t kw = 0; kw < k.kw; kw++) {
            const int64_t h = oh * k.sh + kh - k.ph, w = ow * k.sw + kw - k.pw;
            if (h < 0 || h >= s.x.h || w < 0 || w >= s.x.w) continue;
            for (int64_t c = 0; c < s.x.c; c++)
              f(((image * s.x.h + h) * s.x.w + w) * s.x.c + c, ((image * s.y.h + oh) * s.y.w + ow) * s.x.c + c,
                (kh * k.kw + kw) * s.x.c + c, c);
          }
}

template <class Real>
void depthwise_forward_reference(const DepthwiseShape& s, const Real* x, const Real* w, const Real* bias, Function function, Real* y) {
  for (int64_t i = 0; i < s.y.size(); i++) y[i] = bias ? bias[i % s.y.c] : Real(0);
  for_each_depthwise_product(s, [&](int64_t ix, int64_t iy, int64_t iw, int64_t) { y[iy] += x[ix] * w[iw]; });
  for (int64_t i = 0; i < s.y.size(); i++) y[i] = apply(function, y[i]);
}

template <class Real>
void depthwise_data_gradient_reference(const DepthwiseShape& s, const Real* dy, const Real* w, bool accumulate, Real* dx) {
  if (!accumulate)
    for (int64_t i = 0; i < s.x.size(); i++) dx[i] = 0;
  for_each_depthwise_product(s, [&](int64_t ix, int64_t iy, int64_t iw, int64_t) { dx[ix] += dy[iy] * w[iw]; });
}

/** db may be null. */
template <class Real>
void depthwise_weight_gradient_reference(const DepthwiseShape& s, const Real* x, const Real* dy, Real* dw, Real* db) {
  for (int64_t i = 0; i < s.window.kh * s.window.kw * s.x.c; i++) dw[i] = 0;
  for_each_depthwise_product(s, [&](int64_t ix, int64_t iy, int64_t iw, int64_t) { dw[iw] += x[ix] * dy[iy]; });
  if (!db) return;
  for (int64_t c = 0; c < s.y.c; c++) db[c] = 0;
  for (int64_t i = 0; i < s.y.size(); i++) db[i % s.y.c] += dy[i];
}

}  // namespace tvn
