// cuDNN where the machine has it and TVN_CUDNN asks for it. Nothing needs it: it is loaded at run time, and what it refuses is done by our
// own kernels.
//
//   TVN_CUDNN=off, or not set   plans do not use it
//   TVN_CUDNN=on                libcudnn.so.9, else .8, wherever the system's loader finds it
//   TVN_CUDNN=/path/to/libcudnn.so.9
#pragma once

#include <memory>
#include <string>

#include "core/error.h"
#include "cuda/runtime/cudnn_api.h"

namespace tvn::cuda {

/** A call of cuDNN failed; the device is as it was. */
class CudnnError : public Error {
 public:
  explicit CudnnError(const std::string& message) : Error("ERR_NATIVE", message) {}
};

/** A loaded library, which is never unloaded. */
struct Cudnn : cudnn::Functions {
  std::string version;  // "9.1.0"
  std::string path;     // of the file

  /** Throws CudnnError where a call failed. */
  void check(cudnn::Status status, const char* call) const;
};

/** One of the two is there. */
struct CudnnSearch {
  std::unique_ptr<const Cudnn> found;
  std::string refusal;  // why it is not used
};

/** Loads what a value of TVN_CUDNN says: versions from 8.0 to below 10 that have all functions and all their parts. */
CudnnSearch find_cudnn(const std::string& setting);

/** cuDNN as TVN_CUDNN has it, for plans. What is found lives as long as the program. */
const CudnnSearch& cudnn_for_plans();
/** The same for benchmarks, which look for it without being asked to: only "off" stops them. */
const CudnnSearch& cudnn_for_benchmarks();
/** Throws Error("ERR_DEVICE") where TVN_CUDNN asks for what cannot be used. */
void require_cudnn_if_asked();
/** Of what plans use: "9.1.0 (/usr/lib/libcudnn.so.9)", or "not used: " and why. */
std::string cudnn_description();

/** Something that a pair of cuDNN's functions creates and destroys. */
template <class T, cudnn::Status (*cudnn::Functions::*create)(T*), cudnn::Status (*cudnn::Functions::*destroy)(T)>
class CudnnOwner {
 public:
  explicit CudnnOwner(const Cudnn& library) : library_(library) { library.check((library.*create)(&value_), "creating a handle"); }
  CudnnOwner(const CudnnOwner&) = delete;
  CudnnOwner& operator=(const CudnnOwner&) = delete;
  ~CudnnOwner() { (library_.*destroy)(value_); }
  operator T() const { return value_; }
  const Cudnn& library() const { return library_; }

 private:
  const Cudnn& library_;
  T value_ = nullptr;
};

/** Of the current device; used by one thread at a time. */
using CudnnHandle = CudnnOwner<cudnn::Handle, &cudnn::Functions::Create, &cudnn::Functions::Destroy>;
using CudnnTensor = CudnnOwner<cudnn::Tensor, &cudnn::Functions::CreateTensorDescriptor, &cudnn::Functions::DestroyTensorDescriptor>;
using CudnnFilter = CudnnOwner<cudnn::Filter, &cudnn::Functions::CreateFilterDescriptor, &cudnn::Functions::DestroyFilterDescriptor>;
using CudnnConvolution =
    CudnnOwner<cudnn::Convolution, &cudnn::Functions::CreateConvolutionDescriptor, &cudnn::Functions::DestroyConvolutionDescriptor>;

}  // namespace tvn::cuda
