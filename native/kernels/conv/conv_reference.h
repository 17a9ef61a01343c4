// Dense convolution as its contract says it, one sum after the other.
#pragma once

#include <algorithm>

#include "core/function.h"
#include "kernels/conv/conv.h"

namespace tvn {

/** Calls f(x index, y index, w index) of the first channels at every tap of every position that falls inside x. */
template <class F>
void for_each_conv_tap(const ConvShape& s, const F& f) {
  const Window& k = s.window;
  for (int64_t n = 0; n < s.y.n; n++)
    for (int64_t ot = 0; ot < s.y.t; ot++)
      for (int64_t oh = 0; oh < s.y.h; oh++)
        for (int64_t ow = 0; ow < s.y.w; ow++)
          for (int64_t tap = 0; tap < k.taps(); tap++) {
            const int64_t kt = tap / (k.kh * k.kw), kh = tap / k.kw % k.kh, kw = tap % k.kw;
            const int64_t t = ot * k.st + kt - k.pt, h = oh * k.sh + kh - k.ph, w = ow * k.sw + kw - k.pw;
            if (t < 0 || t >= s.x.t || h < 0 || h >= s.x.h || w < 0 || w >= s.x.w) continue;
            f((((n * s.x.t + t) * s.x.h + h) * s.x.w + w) * s.x.c, (((n * s.y.t + ot) * s.y.h + oh) * s.y.w + ow) * s.y.c,
              tap * s.x.c * s.y.c);
          }
}

/** bias, scale and residual may be null. */
template <class Real>
void conv_forward_reference(const ConvShape& s, const Real* x, const Real* w, const Real* bias, const Real* residual, Function function,
                            Real* y, const Real* scale = nullptr) {
  const int64_t C = s.x.c, OC = s.y.c;
  for (int64_t i = 0; i < s.y.size(); i++) y[i] = bias ? bias[i % OC] : Real(0);
  for_each_conv_tap(s, [&](int64_t ix, int64_t iy, int64_t iw) {
    for (int64_t c = 0; c < C; c++)
      for (int64_t oc = 0; oc < OC; oc++) y[iy + oc] += x[ix + c] * w[iw + c * OC + oc];
  });
  const int64_t clip = s.y.size() / std::max<int64_t>(s.y.n, 1);
  for (int64_t i = 0; i < s.y.size(); i++) {
    const Real scaled = scale ? scale[i / clip * OC + i % OC] * y[i] : y[i];
    y[i] = apply(function, residual ? residual[i] + scaled : scaled);
  }
}

/** The biases and scale may be null. */
template <class Real>
void conv_sum_reference(const ConvSumShape& s, const Real* x, const Real* w, const Real* bias, const Real* scale, const Real* shortcut_x,
                        const Real* shortcut_w, const Real* shortcut_bias, Function function, Real* y) {
  const int64_t C = s.shortcut.x.c, OC = s.shortcut.y.c;
  conv_forward_reference<Real>(s.expand, x, w, bias, nullptr, Function::none, y, scale);
  for_each_conv_tap(s.shortcut, [&](int64_t ix, int64_t iy, int64_t iw) {
    for (int64_t c = 0; c < C; c++)
      for (int64_t oc = 0; oc < OC; oc++) y[iy + oc] += shortcut_x[ix + c] * shortcut_w[iw + c * OC + oc];
  });
  for (int64_t i = 0; i < s.shortcut.y.size(); i++) y[i] = apply(function, y[i] + (shortcut_bias ? shortcut_bias[i % OC] : Real(0)));
}

template <class Real>
void conv_data_gradient_reference(const ConvShape& s, const Real* dy, const Real* w, bool accumulate, Real* dx) {
  const int64_t C = s.x.c, OC = s.y.c;
  if (!accumulate)
    for (int64_t i = 0; i < s.x.size(); i++) dx[i] = 0;
  for_each_conv_tap(s, [&](int64_t ix, int64_t iy, int64_t iw) {
    for (int64_t c = 0; c < C; c++)
      for (int64_t oc = 0; oc < OC; oc++) dx[ix + c] += dy[iy + oc] * w[iw + c * OC + oc];
  });
}

/** db may be null. */
template <class Real>
void conv_weight_gradient_reference(const ConvShape& s, const Real* x, const Real* dy, Real* dw, Real* db) {
  const int64_t C = s.x.c, OC = s.y.c;
  for (int64_t i = 0; i < s.window.taps() * C * OC; i++) dw[i] = 0;
  for_each_conv_tap(s, [&](int64_t ix, int64_t iy, int64_t iw) {
    for (int64_t c = 0; c < C; c++)
      for (int64_t oc = 0; oc < OC; oc++) dw[iw + c * OC + oc] += x[ix + c] * dy[iy + oc];
  });
  if (!db) return;
  for (int64_t oc = 0; oc < OC; oc++) db[oc] = 0;
  for (int64_t i = 0; i < s.y.size(); i++) db[i % OC] += dy[i];
}

}  // namespace tvn
