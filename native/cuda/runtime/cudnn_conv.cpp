#include "cuda/runtime/cudnn_conv.h"

#include "cuda/runtime/device.h"

namespace tvn::cuda {
namespace {

/** Bytes. */
constexpr size_t most_benchmark_workspace = size_t{4} << 30;

using Axis = CudnnShape::Axis;

int positions(const Axis& a) { return (a.x + 2 * a.pad - a.taps) / a.stride + 1; }
bool fits(const Axis& a) { return a.x + 2 * a.pad >= a.taps && positions(a) == a.y; }

/** As it is, or with a tap of zeros in front. */
std::optional<Axis> exact_axis(Axis a) {
  if (fits(a)) return a;
  a.taps++, a.pad++, a.zeros++;
  return fits(a) ? std::optional(a) : std::nullopt;
}

/** With the larger padding on both sides, if that has the same extents: a convolution of other values that costs as much. */
std::optional<Axis> rival_axis(Axis a) {
  if (fits(a)) return a;
  Axis padded = a;
  padded.pad++;
  return fits(padded) ? std::optional(padded) : exact_axis(a);
}

template <class AxisOf>
std::optional<CudnnShape> planes(const ConvShape& s, const AxisOf& axis) {
  const auto& [x, y, k] = s;
  const auto of = [&](int n, const Axis& h, const Axis& w) -> std::optional<CudnnShape> {
    const std::optional<Axis> first = axis(h), second = axis(w);
    return first && second ? std::optional(CudnnShape{n, x.c, y.c, *first, *second}) : std::nullopt;
  };
  if (k.kt == 1 && k.st == 1 && k.pt == 0 && x.t == y.t) return of(x.n * x.t, {x.h, y.h, k.kh, k.sh, k.ph}, {x.w, y.w, k.kw, k.sw, k.pw});
  const bool over_time = k.kh == 1 && k.kw == 1 && k.sh == 1 && k.sw == 1 && k.ph == 0 && k.pw == 0 && x.h == y.h && x.w == y.w;
  if (over_time) return of(x.n, {x.t, y.t, k.kt, k.st, k.pt}, {x.h * x.w, y.h * y.w, 1, 1, 0});
  return std::nullopt;
}

/** Memory of a convolution for benchmarks, of values that are not zero: zeros would need less power. */
DeviceBuffer some_halves(size_t count) {
  DeviceBuffer buffer(count * sizeof(half));
  check(cudaMemset(buffer.at<void>(), 0x2c, buffer.bytes()), "filling GPU memory");  // 0.065 each
  return buffer;
}

}  // namespace

std::optional<CudnnShape> cudnn_shape(const ConvShape& shape) { return planes(shape, exact_axis); }

std::vector<half> cudnn_filters(const CudnnShape& s, const StoredParameter& parameter, std::span<const float> values) {
  std::vector<half> packed(static_cast<size_t>(s.oc) * static_cast<size_t>(s.h.taps * s.w.taps) * static_cast<size_t>(s.c),
                           __float2half(0));
  const int64_t width = s.w.taps - s.w.zeros;
  for_stored(parameter, [&](int64_t dense, int64_t at) {
    const int64_t oc = at % parameter.stored_columns, c = at / parameter.stored_columns % parameter.stored_rows,
                  tap = at / parameter.stored_columns / parameter.stored_rows, h = tap / width + s.h.zeros, w = tap % width + s.w.zeros;
    packed[static_cast<size_t>(((oc * s.h.taps + h) * s.w.taps + w) * s.c + c)] = __float2half(values[static_cast<size_t>(dense)]);
  });
  return packed;
}

CudnnConv::CudnnConv(std::shared_ptr<const CudnnHandle> handle, const CudnnShape& s, CudnnChoice choice, size_t most_workspace)
    : handle_(std::move(handle)), shape_(s), x_(library()), y_(library()), w_(library()), convolution_(library()) {
  using namespace cudnn;
  const Cudnn& d = library();
  d.check(d.SetTensor4dDescriptor(x_, nhwc, data_half, s.n, s.c, s.h.x, s.w.x), "describing x");
  d.check(d.SetTensor4dDescriptor(y_, nhwc, data_half, s.n, s.oc, s.h.y, s.w.y), "describing y");
  d.check(d.SetFilter4dDescriptor(w_, data_half, nhwc, s.oc, s.c, s.h.taps, s.w.taps), "describing filters");
  d.check(d.SetConvolution2dDescriptor(convolution_, s.h.pad, s.w.pad, s.h.stride, s.w.stride, 1, 1, cross_correlation, data_float),
          "describing a convolution");
  d.check(d.SetConvolutionMathType(convolution_, tensor_op_math), "asking for tensor cores");

  Performance results[2 * algorithm_count] = {};  // with tensor cores and without
  int count = 0;
  const bool measured = choice == CudnnChoice::measured;
  d.check((measured ? d.FindConvolutionForwardAlgorithm : d.GetConvolutionForwardAlgorithm_v7)(*handle_, x_, w_, convolution_, y_,
                                                                                               2 * algorithm_count, &count, results),
          measured ? "measuring algorithms" : "choosing an algorithm");
  for (const Performance* result = results; result < results + count; result++) {
    if (result->status != success || result->determinism != deterministic || result->workspace > most_workspace) continue;
    algorithm_ = result->algorithm;
    if (d.SetConvolutionMathType(convolution_, result->math) == success &&
        d.GetConvolutionForwardWorkspaceSize(*handle_, x_, w_, convolution_, y_, algorithm_, &workspace_) == success &&
        workspace_ <= most_workspace)
      return;
  }
  throw CudnnError("cuDNN " + d.version + " has no algorithm for it");
}

void CudnnConv::launch(const half* x, const half* w, half* y, void* workspace, cudaStream_t stream) const {
  const Cudnn& d = library();
  const float one = 1, zero = 0;
  d.check(d.SetStream(*handle_, stream), "setting its stream");
  d.check(d.ConvolutionForward(*handle_, &one, x_, x, w_, w, convolution_, algorithm_, workspace, workspace_, &zero, y_, y),
          "launching a convolution");
}

std::optional<double> cudnn_conv_ms(const ConvShape& shape, int runs, cudaStream_t stream, std::string* refusal) {
  const auto refuse = [&](const std::string& why) {
    if (refusal) *refusal = why;
    return std::nullopt;
  };
  const CudnnSearch& search = cudnn_for_benchmarks();
  if (!search.found) return refuse(search.refusal);
  const std::optional<CudnnShape> planar = planes(shape, rival_axis);
  if (!planar) return refuse("cuDNN's convolutions cannot express it");
  try {
    const CudnnConv conv(std::make_shared<const CudnnHandle>(*search.found), *planar, CudnnChoice::measured, most_benchmark_workspace);
    const DeviceBuffer x = some_halves(shape.x.size()), y = some_halves(shape.y.size()),
                       w = some_halves(static_cast<size_t>(planar->oc) * static_cast<size_t>(planar->h.taps * planar->w.taps) *
                                       static_cast<size_t>(planar->c)),
                       workspace(conv.workspace());
    const auto launch = [&](cudaStream_t on) { conv.launch(x.at<half>(), w.at<half>(), y.at<half>(), workspace.at<void>(), on); };
    const Stream recording;
    launch(recording);
    recording.synchronize();
    const Graph graph(recording, [&] {
      for (int i = 0; i < runs; i++) launch(recording);
    });
    return fastest_ms(graph, stream) / runs;
  } catch (const CudnnError& error) {
    cudaGetLastError();
    return refuse(error.what());
  }
}

}  // namespace tvn::cuda
