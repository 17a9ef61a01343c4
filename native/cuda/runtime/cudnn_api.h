// The few functions of cuDNN that are used, declared here, since its header is not there where the backend is built. They and their values
// are the same in versions 8 and 9.
#pragma once

#include <cstddef>

struct CUstream_st;  // a cudaStream_t

namespace tvn::cuda::cudnn {

using Status = int;
constexpr Status success = 0;

using Handle = struct Context*;
using Tensor = struct TensorDescriptor*;
using Filter = struct FilterDescriptor*;
using Convolution = struct ConvolutionDescriptor*;

enum DataType : int { data_float = 0, data_half = 2 };
enum Format : int { nhwc = 1 };  // of filters: KRSC
enum Mode : int { cross_correlation = 1 };
enum Math : int { default_math = 0, tensor_op_math = 1 };
enum Determinism : int { not_deterministic = 0, deterministic = 1 };
/** cudnnConvolutionFwdAlgo_t: values come from the library and go back to it. */
using Algorithm = int;
constexpr int algorithm_count = 8;

/** cudnnConvolutionFwdAlgoPerf_t */
struct Performance {
  Algorithm algorithm;
  Status status;
  float ms;  // −1 where nothing was measured
  size_t workspace;
  int determinism, math;
  int reserved[3];
};

/** FUNCTION(its name without "cudnn", result, parameters) */
#define TVN_CUDNN_FUNCTIONS(FUNCTION)                                                                                                  \
  FUNCTION(GetVersion, size_t, ())                                                                                                     \
  FUNCTION(GetErrorString, const char*, (Status status))                                                                               \
  FUNCTION(Create, Status, (Handle * handle))                                                                                          \
  FUNCTION(Destroy, Status, (Handle handle))                                                                                           \
  FUNCTION(SetStream, Status, (Handle handle, CUstream_st * stream))                                                                   \
  FUNCTION(CreateTensorDescriptor, Status, (Tensor * tensor))                                                                          \
  FUNCTION(DestroyTensorDescriptor, Status, (Tensor tensor))                                                                           \
  FUNCTION(SetTensor4dDescriptor, Status, (Tensor tensor, int format, int type, int n, int c, int h, int w))                           \
  FUNCTION(CreateFilterDescriptor, Status, (Filter * filter))                                                                          \
  FUNCTION(DestroyFilterDescriptor, Status, (Filter filter))                                                                           \
  FUNCTION(SetFilter4dDescriptor, Status, (Filter filter, int type, int format, int k, int c, int h, int w))                           \
  FUNCTION(CreateConvolutionDescriptor, Status, (Convolution * convolution))                                                           \
  FUNCTION(DestroyConvolutionDescriptor, Status, (Convolution convolution))                                                            \
  FUNCTION(                                                                                                                            \
      SetConvolution2dDescriptor, Status,                                                                                              \
      (Convolution convolution, int pad_h, int pad_w, int stride_h, int stride_w, int dilation_h, int dilation_w, int mode, int type)) \
  FUNCTION(SetConvolutionMathType, Status, (Convolution convolution, int math))                                                        \
  FUNCTION(GetConvolutionForwardAlgorithm_v7, Status,                                                                                  \
           (Handle handle, Tensor x, Filter w, Convolution convolution, Tensor y, int requested, int* returned, Performance* results)) \
  FUNCTION(FindConvolutionForwardAlgorithm, Status,                                                                                    \
           (Handle handle, Tensor x, Filter w, Convolution convolution, Tensor y, int requested, int* returned, Performance* results)) \
  FUNCTION(GetConvolutionForwardWorkspaceSize, Status,                                                                                 \
           (Handle handle, Tensor x, Filter w, Convolution convolution, Tensor y, Algorithm algorithm, size_t * bytes))                \
  FUNCTION(ConvolutionForward, Status,                                                                                                 \
           (Handle handle, const void* alpha, Tensor x, const void* x_data, Filter w, const void* w_data, Convolution convolution,     \
            Algorithm algorithm, void* workspace, size_t workspace_bytes, const void* beta, Tensor y, void* y_data))

struct Functions {
#define TVN_CUDNN_FUNCTION(name, Result, parameters) Result(*name) parameters = nullptr;
  TVN_CUDNN_FUNCTIONS(TVN_CUDNN_FUNCTION)
#undef TVN_CUDNN_FUNCTION
};

}  // namespace tvn::cuda::cudnn
