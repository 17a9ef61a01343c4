// The data gradient is a convolution of dy with the transposed weights; with stride S it falls into S independent ones per axis, each of
// which computes every S-th element of dx from its share of the taps.

namespace tvn::TVN_ISA {
namespace {

/** The elements first, first + stride, … of an axis of dx, and the taps first_tap, first_tap + stride, … that reach them. */
struct Phase {
  Axis axis;
  int64_t first_tap;
};
constexpr Phase phase(int64_t x, int64_t y, int64_t taps, int64_t stride, int64_t pad, int64_t first) {
  // dx[i] = Σ dy[o]·w[k] over o·stride + k = i + pad. With i = first + j·stride and k = first_tap + m·stride: o = j + shift − m.
  const int64_t first_tap = (first + pad) % stride, shift = (first + pad) / stride;
  const int64_t count = first_tap < taps ? (taps - first_tap - 1) / stride + 1 : 0;
  const int64_t out = first < x ? (x - first - 1) / stride + 1 : 0;
  return {{y, out, count, 1, count - 1 - shift, x, first, stride}, first_tap};
}

/** One of the st·sh·sw convolutions that make up a data gradient, its weights behind those of the phases before. */
struct GradientPhase {
  Problem problem;
  int64_t kt, kh, kw;  // first taps
  int64_t packed;      // offset of the weights
};

/** Calls f(phase) for every phase in turn. */
template <class F>
void for_each_phase(const ConvShape& s, const F& f) {
  const Window& k = s.window;
  int64_t packed = 0;
  for (int64_t t = 0; t < k.st; t++)
    for (int64_t h = 0; h < k.sh; h++)
      for (int64_t w = 0; w < k.sw; w++) {
        const Phase a = phase(s.x.t, s.y.t, k.kt, k.st, k.pt, t), b = phase(s.x.h, s.y.h, k.kh, k.sh, k.ph, h),
                    c = phase(s.x.w, s.y.w, k.kw, k.sw, k.pw, w);
        const GradientPhase g{flatten({s.x.n, a.axis, b.axis, c.axis, s.y.c, s.x.c}), a.first_tap, b.first_tap, c.first_tap, packed};
        f(g);
        packed += packed_floats(g.problem);
      }
}

std::size_t data_gradient_packed_size(const ConvShape& s) {
  int64_t sum = 0;
  for_each_phase(s, [&](const GradientPhase& g) { sum += packed_floats(g.problem); });
  return static_cast<std::size_t>(sum);
}

/** Packs w transposed, with the taps of a phase in reverse. */
void data_gradient_pack(const ConvShape& s, const float* w, float* packed, ThreadPool& pool) {
  const Window& k = s.window;
  for_each_phase(s, [&](const GradientPhase& g) {
    const Problem& p = g.problem;
    const auto weights = [&](int64_t tap) {
      const int64_t kt = g.kt + (p.t.taps - 1 - tap / (p.h.taps * p.w.taps)) * k.st;
      const int64_t kh = g.kh + (p.h.taps - 1 - tap / p.w.taps % p.h.taps) * k.sh;
      const int64_t kw = g.kw + (p.w.taps - 1 - tap % p.w.taps) * k.sw;
      return Weights{w + ((kt * k.kh + kh) * k.kw + kw) * s.x.c * s.y.c, 1, s.y.c};
    };
    pack(p, weights, packed + g.packed, pool);
  });
}

std::size_t data_gradient_scratch_size(const ConvShape& s, int threads) {
  int64_t most = 0;
  for_each_phase(s, [&](const GradientPhase& g) {
    const Source source{g.problem, nullptr, nullptr, nullptr};
    most = larger(most, correlate_scratch({&source, 1}, threads));
  });
  return static_cast<std::size_t>(most);
}

void fill_with_zeros(float* x, int64_t size, ThreadPool& pool) {
  constexpr int64_t piece = 64 << 10;
  pool.run(ceil_div(size, piece), [&](int64_t task, int) {
    std::memset(x + task * piece, 0, static_cast<std::size_t>(smaller(piece, size - task * piece)) * sizeof(float));
  });
}

void data_gradient(const ConvShape& s, const ConvDataGradientArgs& a, ThreadPool& pool) {
  const Window& k = s.window;
  const bool gaps = k.st > k.kt || k.sh > k.kh || k.sw > k.kw;  // elements that no tap reaches: cleared in one sweep
  if (gaps && !a.accumulate) fill_with_zeros(a.dx, s.x.size(), pool);
  for_each_phase(s, [&](const GradientPhase& g) {
    if (taps(g.problem) == 0) return;
    const Source source{g.problem, a.dy, a.packed + g.packed, nullptr};
    correlate({&source, 1}, {nullptr, a.accumulate ? a.dx : nullptr, Function::none, a.dx, a.scratch}, pool);
  });
}

}  // namespace
}  // namespace tvn::TVN_ISA
