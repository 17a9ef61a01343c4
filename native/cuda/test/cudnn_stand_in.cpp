// Not cuDNN: a library with the functions of runtime/cudnn_api.h, for tests where cuDNN or a GPU is not to be had. It is strict about what
// cuDNN's documentation asks for, and its convolutions are naive loops over memory that the host can read: that of the emulation. How they
// come into a stream the test says (cudnn_stand_in_run_by).
//
//   CUDNN_STAND_IN_VERSION=7605         what cudnnGetVersion says
//   CUDNN_STAND_IN_FAILS=cudnnCreate    the call that fails
//   CUDNN_STAND_IN_LACKS                where it is built with that, it has no cudnnConvolutionForward
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "cuda/device/platform.h"
#include "cuda/runtime/cudnn_api.h"

namespace tvn::cuda::cudnn {

struct Context {
  CUstream_st* stream = nullptr;
};
struct TensorDescriptor {
  int n = 0, c = 0, h = 0, w = 0;
};
struct FilterDescriptor {
  int k = 0, c = 0, h = 0, w = 0;
};
struct ConvolutionDescriptor {
  int pad_h = 0, pad_w = 0, stride_h = 0, stride_w = 0, math = default_math;
};

namespace {

enum : Status { bad_parameter = 2000, not_supported = 3000 };

/** In the order that the library gives them: what nobody may take comes first. */
constexpr Performance algorithms[] = {{6, not_supported, 0, 0, deterministic, tensor_op_math, {}},
                                      {3, success, 0.1f, 0, not_deterministic, tensor_op_math, {}},
                                      {5, success, 0.2f, size_t{1} << 50, deterministic, default_math, {}},
                                      {1, success, 0.3f, size_t{1} << 20, deterministic, tensor_op_math, {}},
                                      {0, success, 0.4f, 0, deterministic, default_math, {}}};
const Performance* find(Algorithm algorithm) {
  for (const Performance& row : algorithms)
    if (row.algorithm == algorithm && row.status == success) return &row;
  return nullptr;
}
/** Whether it may be run: deterministic, with the math and the workspace that it needs. */
bool may_run(Algorithm algorithm, int math, const void* workspace, size_t bytes) {
  const Performance* const row = find(algorithm);
  return row && row->determinism == deterministic && row->math == math && bytes >= row->workspace && (workspace || row->workspace == 0);
}

using Run = void (*)(CUstream_st* stream, void (*work)(void*), void* context);
Run run = nullptr;
int objects = 0;

bool fails(const char* call) {
  const char* const name = std::getenv("CUDNN_STAND_IN_FAILS");
  return name && std::strcmp(name, call) == 0;
}

template <class T>
Status create(const char* call, T** object) {
  if (fails(call)) return not_supported;
  *object = new T;
  objects++;
  return success;
}
template <class T>
Status destroy(T* object) {
  objects -= object != nullptr;
  delete object;
  return success;
}

int positions(int x, int pad, int taps, int stride) { return (x + 2 * pad - taps) / stride + 1; }

bool agree(const TensorDescriptor& x, const FilterDescriptor& w, const ConvolutionDescriptor& c, const TensorDescriptor& y) {
  return x.n == y.n && x.c == w.c && y.c == w.k && y.h == positions(x.h, c.pad_h, w.h, c.stride_h) &&
         y.w == positions(x.w, c.pad_w, w.w, c.stride_w);
}

/** A convolution on its way through a stream; it may be run again and again. */
struct Work {
  TensorDescriptor x, y;
  FilterDescriptor w;
  ConvolutionDescriptor convolution;
  const half *x_data, *w_data;
  half* y_data;
  void* workspace;
  size_t workspace_bytes;

  void run() const {
    if (workspace_bytes > 0) std::memset(workspace, 0xff, workspace_bytes);
    const std::vector<float> from = floats(x_data, static_cast<size_t>(x.n) * x.h * x.w * x.c),
                             filters = floats(w_data, static_cast<size_t>(w.k) * w.h * w.w * w.c);
    half* to = y_data;
    for (int n = 0; n < y.n; n++)
      for (int oh = 0; oh < y.h; oh++)
        for (int ow = 0; ow < y.w; ow++)
          for (int k = 0; k < y.c; k++) *to++ = __float2half(sum(from, filters, n, oh, ow, k));
  }

 private:
  static std::vector<float> floats(const half* data, size_t count) {
    std::vector<float> values(count);
    for (size_t i = 0; i < count; i++) values[i] = __half2float(data[i]);
    return values;
  }
  float sum(const std::vector<float>& from, const std::vector<float>& filters, int n, int oh, int ow, int k) const {
    float sum = 0;
    for (int a = 0; a < w.h; a++)
      for (int b = 0; b < w.w; b++) {
        const int h = oh * convolution.stride_h - convolution.pad_h + a, v = ow * convolution.stride_w - convolution.pad_w + b;
        if (h < 0 || h >= x.h || v < 0 || v >= x.w) continue;
        const float* const pixel = &from[((static_cast<size_t>(n) * x.h + h) * x.w + v) * x.c];
        const float* const tap = &filters[((static_cast<size_t>(k) * w.h + a) * w.w + b) * w.c];
        for (int c = 0; c < x.c; c++) sum += pixel[c] * tap[c];
      }
    return sum;
  }
};

bool aligned(const void* data) { return data && reinterpret_cast<uintptr_t>(data) % 16 == 0; }

Status list(const char* call, bool measured, int requested, int* returned, Performance* results) {
  if (fails(call)) return not_supported;
  *returned = 0;
  for (const Performance& row : algorithms) {
    if (*returned == requested) break;
    Performance& result = results[(*returned)++] = row;
    if (!measured) result.ms = -1;
  }
  return success;
}

}  // namespace
}  // namespace tvn::cuda::cudnn

using namespace tvn::cuda::cudnn;

#define EXPORT extern "C" __attribute__((visibility("default")))

EXPORT void cudnn_stand_in_run_by(Run by) { run = by; }
/** Handles and descriptors that are not destroyed. */
EXPORT int cudnn_stand_in_objects() { return objects; }

EXPORT size_t cudnnGetVersion() {
  const char* const version = std::getenv("CUDNN_STAND_IN_VERSION");
  return version ? std::strtoull(version, nullptr, 10) : 90100;
}
EXPORT const char* cudnnGetErrorString(Status status) {
  return status == success ? "CUDNN_STATUS_SUCCESS" : status == not_supported ? "CUDNN_STATUS_NOT_SUPPORTED" : "CUDNN_STATUS_BAD_PARAM";
}

EXPORT Status cudnnCreate(Handle* handle) { return create("cudnnCreate", handle); }
EXPORT Status cudnnDestroy(Handle handle) { return destroy(handle); }
EXPORT Status cudnnSetStream(Handle handle, CUstream_st* stream) {
  if (fails("cudnnSetStream")) return not_supported;
  handle->stream = stream;
  return success;
}

EXPORT Status cudnnCreateTensorDescriptor(Tensor* tensor) { return create("cudnnCreateTensorDescriptor", tensor); }
EXPORT Status cudnnDestroyTensorDescriptor(Tensor tensor) { return destroy(tensor); }
EXPORT Status cudnnSetTensor4dDescriptor(Tensor tensor, int format, int type, int n, int c, int h, int w) {
  if (fails("cudnnSetTensor4dDescriptor")) return not_supported;
  if (format != nhwc || type != data_half || n < 1 || c < 1 || h < 1 || w < 1) return bad_parameter;
  *tensor = {n, c, h, w};
  return success;
}

EXPORT Status cudnnCreateFilterDescriptor(Filter* filter) { return create("cudnnCreateFilterDescriptor", filter); }
EXPORT Status cudnnDestroyFilterDescriptor(Filter filter) { return destroy(filter); }
EXPORT Status cudnnSetFilter4dDescriptor(Filter filter, int type, int format, int k, int c, int h, int w) {
  if (fails("cudnnSetFilter4dDescriptor")) return not_supported;
  if (format != nhwc || type != data_half || k < 1 || c < 1 || h < 1 || w < 1) return bad_parameter;
  *filter = {k, c, h, w};
  return success;
}

EXPORT Status cudnnCreateConvolutionDescriptor(Convolution* convolution) { return create("cudnnCreateConvolutionDescriptor", convolution); }
EXPORT Status cudnnDestroyConvolutionDescriptor(Convolution convolution) { return destroy(convolution); }
EXPORT Status cudnnSetConvolution2dDescriptor(Convolution convolution, int pad_h, int pad_w, int stride_h, int stride_w, int dilation_h,
                                              int dilation_w, int mode, int type) {
  if (fails("cudnnSetConvolution2dDescriptor")) return not_supported;
  if (pad_h < 0 || pad_w < 0 || stride_h < 1 || stride_w < 1 || dilation_h != 1 || dilation_w != 1 || mode != cross_correlation ||
      type != data_float)
    return bad_parameter;
  *convolution = {pad_h, pad_w, stride_h, stride_w, default_math};
  return success;
}
EXPORT Status cudnnSetConvolutionMathType(Convolution convolution, int math) {
  if (fails("cudnnSetConvolutionMathType")) return not_supported;
  convolution->math = math;
  return success;
}

EXPORT Status cudnnGetConvolutionForwardAlgorithm_v7(Handle, Tensor x, Filter w, Convolution convolution, Tensor y, int requested,
                                                     int* returned, Performance* results) {
  return agree(*x, *w, *convolution, *y) ? list("cudnnGetConvolutionForwardAlgorithm_v7", false, requested, returned, results)
                                         : bad_parameter;
}
EXPORT Status cudnnFindConvolutionForwardAlgorithm(Handle, Tensor x, Filter w, Convolution convolution, Tensor y, int requested,
                                                   int* returned, Performance* results) {
  return agree(*x, *w, *convolution, *y) ? list("cudnnFindConvolutionForwardAlgorithm", true, requested, returned, results) : bad_parameter;
}
EXPORT Status cudnnGetConvolutionForwardWorkspaceSize(Handle, Tensor x, Filter w, Convolution convolution, Tensor y, Algorithm algorithm,
                                                      size_t* bytes) {
  if (fails("cudnnGetConvolutionForwardWorkspaceSize") || !find(algorithm)) return not_supported;
  if (!agree(*x, *w, *convolution, *y)) return bad_parameter;
  *bytes = find(algorithm)->workspace;
  return success;
}

#ifndef CUDNN_STAND_IN_LACKS
EXPORT Status cudnnConvolutionForward(Handle handle, const void* alpha, Tensor x, const void* x_data, Filter w, const void* w_data,
                                      Convolution convolution, Algorithm algorithm, void* workspace, size_t bytes, const void* beta,
                                      Tensor y, void* y_data) {
  if (fails("cudnnConvolutionForward")) return not_supported;
  if (!run || !agree(*x, *w, *convolution, *y) || !may_run(algorithm, convolution->math, workspace, bytes) ||
      *static_cast<const float*>(alpha) != 1 || *static_cast<const float*>(beta) != 0 || !aligned(x_data) || !aligned(w_data) ||
      !aligned(y_data))
    return bad_parameter;
  static std::vector<std::unique_ptr<const Work>>& kept = *new std::vector<std::unique_ptr<const Work>>;  // by graphs too
  kept.push_back(
      std::make_unique<const Work>(Work{*x, *y, *w, *convolution, static_cast<const half*>(x_data), static_cast<const half*>(w_data),
                                        static_cast<half*>(y_data), workspace, find(algorithm)->workspace}));
  run(
      handle->stream, [](void* work) { static_cast<const Work*>(work)->run(); }, const_cast<Work*>(kept.back().get()));
  return success;
}
#endif
