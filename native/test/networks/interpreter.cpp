#include "test/networks/interpreter.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "core/error.h"

namespace tvn::test {
namespace {

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

double apply(Function function, double x) {
  switch (function) {
    case Function::none: return x;
    case Function::relu: return std::max(x, 0.0);
    case Function::hswish: return x * std::clamp(x + 3, 0.0, 6.0) / 6;
    case Function::sigmoid: return sigmoid(x);
  }
  return x;
}

/** Where window position `offset` of output `out` lies on an axis of n elements; −1 on the padding. */
int64_t source(int64_t out, int64_t offset, int64_t n, int kernel, int stride, Padding padding) {
  const int64_t outputs = (n + stride - 1) / stride;
  const int64_t front = padding == Padding::same ? std::max<int64_t>((outputs - 1) * stride + kernel - n, 0) / 2 : 0;
  const int64_t at = out * stride + offset - front;
  return at >= 0 && at < n ? at : -1;
}

class Interpreter {
 public:
  Interpreter(const Program& program, const Parameters& parameters, ThreadPool& pool)
      : program_(program), parameters_(parameters), pool_(pool) {}

  Values& tensor(int index) { return tensors_[index]; }
  void forget(int index) { tensors_.erase(index); }

  void run(const Node& node) {
    node_ = &node;
    const Attributes& a = node.attributes;
    const Shape &xs = program_.shape(node.inputs[0]), &ys = program_.shape(node.output);
    const Values& x = input(0);
    Values& y = tensors_[node.output];
    y.assign(static_cast<size_t>(ys.size()), 0);
    const size_t channels = static_cast<size_t>(ys.c);
    const auto each = [&](const auto& value) {
      for (size_t i = 0; i < y.size(); i++) y[i] = value(i, i % channels);
    };
    const bool fused =
        (node.kind == OpKind::conv && node.inputs.size() > 1) || (node.kind != OpKind::activation && a.function != Function::none);
    if (fused) throw Error("ERR_GRAPH_INVALID", node.name + ": has been fused");
    switch (node.kind) {
      case OpKind::normalize: return each([&](size_t i, size_t) { return x[i] / 127.5 - 1; });
      case OpKind::activation: return each([&](size_t i, size_t) { return apply(a.function, x[i]); });
      case OpKind::dropout: return each([&](size_t i, size_t) { return x[i]; });
      case OpKind::add: return each([&](size_t i, size_t) { return x[i] + input(1)[i]; });
      case OpKind::gate: return each([&](size_t i, size_t c) { return x[i] * sigmoid(input(1)[c]); });
      case OpKind::batch_norm: {
        const Values gamma = parameter(0), beta = parameter(1), mean = parameter(2), variance = parameter(3);
        return each([&](size_t i, size_t c) { return gamma[c] * (x[i] - mean[c]) / std::sqrt(variance[c] + 1e-5) + beta[c]; });
      }
      case OpKind::mean: {
        const size_t positions = x.size() / y.size();  // averaged into one
        for (size_t i = 0; i < x.size(); i++)
          y[i / (positions * channels) * channels + i % channels] += x[i] / static_cast<double>(positions);
        return;
      }
      case OpKind::conv:
      case OpKind::dense: return convolve(x, xs, y, ys);
      case OpKind::depthwise: {
        const Values w = parameter(0), b = parameter(1);
        return windows(y, ys, xs, [&](double* at, const auto& for_taps) {
          for (size_t c = 0; c < channels; c++) at[c] = b.empty() ? 0 : b[c];
          for_taps([&](size_t from, size_t tap) {
            for (size_t c = 0; c < channels; c++) at[c] += x[from + c] * w[tap * channels + c];
          });
        });
      }
      case OpKind::pool:
        return windows(y, ys, xs, [&](double* at, const auto& for_taps) {
          double taps = 0;
          std::fill_n(at, channels, a.pooling == Pooling::max ? -INFINITY : 0);
          for_taps([&](size_t from, size_t) {
            taps++;
            for (size_t c = 0; c < channels; c++) at[c] = a.pooling == Pooling::max ? std::max(at[c], x[from + c]) : at[c] + x[from + c];
          });
          for (size_t c = 0; c < channels && a.pooling == Pooling::avg; c++) at[c] /= taps;
        });
      case OpKind::attention: return attend(x, input(1), input(2), channels, y);
      case OpKind::temporal_softmax: {
        const double temperature = std::sqrt(static_cast<double>(xs.t));
        for (size_t c = 0; c < channels; c++) {
          double top = -INFINITY, total = 0;
          for (size_t i = c; i < x.size(); i += channels) top = std::max(top, x[i]);
          for (size_t i = c; i < x.size(); i += channels) total += std::exp((x[i] - top) / temperature);
          for (size_t i = c; i < x.size(); i += channels) y[c] += x[i] * std::exp((x[i] - top) / temperature) / total;
        }
        return;
      }
    }
  }

 private:
  const Values& input(size_t slot) const { return tensors_.at(node_->inputs[slot]); }

  /** Empty where the op has none. */
  Values parameter(size_t slot) const {
    const int index = slot < node_->parameters.size() ? node_->parameters[slot] : -1;
    if (index < 0) return {};
    const std::vector<float>& values = parameters_.at(program_.parameters[static_cast<size_t>(index)].name);
    return {values.begin(), values.end()};
  }

  /** Calls f(row of y, for_taps) for every position; for_taps(g) calls g(first channel in x, window position) for what is not padding. */
  template <class F>
  void windows(Values& y, const Shape& ys, const Shape& xs, const F& f) {
    const Attributes a = node_->attributes;
    pool_.run(ys.t * ys.h, [&](int64_t line, int) {
      const int64_t ot = line / ys.h, oh = line % ys.h;
      for (int64_t ow = 0; ow < ys.w; ow++)
        f(&y[static_cast<size_t>((line * ys.w + ow) * ys.c)], [&](const auto& g) {
          for (int tap = 0; tap < a.kernel.t * a.kernel.h * a.kernel.w; tap++) {
            const int64_t t = source(ot, tap / (a.kernel.h * a.kernel.w), xs.t, a.kernel.t, a.stride.t, a.padding);
            const int64_t h = source(oh, tap / a.kernel.w % a.kernel.h, xs.h, a.kernel.h, a.stride.h, a.padding);
            const int64_t w = source(ow, tap % a.kernel.w, xs.w, a.kernel.w, a.stride.w, a.padding);
            if (t >= 0 && h >= 0 && w >= 0) g(static_cast<size_t>(((t * xs.h + h) * xs.w + w) * xs.c), static_cast<size_t>(tap));
          }
        });
    });
  }

  /** A dense layer is the pointwise convolution. */
  void convolve(const Values& x, const Shape& xs, Values& y, const Shape& ys) {
    const Values weight = parameter(0), b = parameter(1);
    const size_t C = static_cast<size_t>(xs.c), OC = static_cast<size_t>(ys.c);
    windows(y, ys, xs, [&](double* at, const auto& for_taps) {
      for (size_t oc = 0; oc < OC; oc++) at[oc] = b.empty() ? 0 : b[oc];
      for_taps([&](size_t from, size_t tap) {
        for (size_t c = 0; c < C; c++) {
          const double value = x[from + c];
          if (value == 0) continue;  // half of them behind a relu
          const double* w = &weight[(tap * C + c) * OC];
          for (size_t oc = 0; oc < OC; oc++) at[oc] += value * w[oc];
        }
      });
    });
  }

  void attend(const Values& theta, const Values& phi, const Values& g, size_t width, Values& y) {
    const size_t keys = phi.size() / width;
    pool_.run(static_cast<int64_t>(theta.size() / width), [&](int64_t query, int) {
      const double* q = &theta[static_cast<size_t>(query) * width];
      double* at = &y[static_cast<size_t>(query) * width];
      Values weights(keys, 0);
      for (size_t k = 0; k < keys; k++) {
        for (size_t c = 0; c < width; c++) weights[k] += q[c] * phi[k * width + c];
        weights[k] /= std::sqrt(static_cast<double>(width));
      }
      const double top = *std::max_element(weights.begin(), weights.end());
      double total = 0;
      for (double& weight : weights) total += weight = std::exp(weight - top);
      for (size_t k = 0; k < keys; k++)
        for (size_t c = 0; c < width; c++) at[c] += weights[k] / total * g[k * width + c];
    });
  }

  const Program& program_;
  const Parameters& parameters_;
  ThreadPool& pool_;
  const Node* node_ = nullptr;
  std::map<int, Values> tensors_;
};

}  // namespace

void interpret(const Program& program, const Parameters& parameters, std::span<const uint8_t> clip, ThreadPool& pool,
               const Observer& observer) {
  Interpreter interpreter(program, parameters, pool);
  interpreter.tensor(program.input).assign(clip.begin(), clip.end());
  std::map<int, size_t> last;  // op that reads the tensor
  for (size_t i = 0; i < program.nodes.size(); i++)
    for (const int x : program.nodes[i].inputs) last[x] = i;
  for (size_t i = 0; i < program.nodes.size(); i++) {
    const Node& node = program.nodes[i];
    observer.before(node, interpreter.tensor(node.inputs[0]));
    interpreter.run(node);
    observer.after(node, interpreter.tensor(node.output));
    for (const int x : node.inputs)
      if (last.at(x) == i) interpreter.forget(x);
  }
}

}  // namespace tvn::test
