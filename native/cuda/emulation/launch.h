// LAUNCH: from a kernel and its arguments to something a stream can run.
#pragma once

#include <memory>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "cuda/emulation/fault.h"
#include "cuda/emulation/language.h"
#include "cuda/emulation/runtime.h"

namespace tvn::emulation {

/** What one thread does. */
struct Body {
  virtual ~Body() = default;
  virtual void run() const = 0;
};

/** A call of a kernel, with arguments that have become its parameters. */
template <class... Parameters>
class Call : public Body {
 public:
  explicit Call(void (*kernel)(Parameters...), const Parameters&... arguments) : kernel_(kernel), arguments_(arguments...) {}
  void run() const override { call(std::index_sequence_for<Parameters...>()); }

 private:
  template <std::size_t... i>
  void call(std::index_sequence<i...>) const {
    kernel_(std::get<i>(arguments_)...);
  }

  void (*kernel_)(Parameters...);
  std::tuple<std::remove_const_t<Parameters>...> arguments_;
};

/** A kernel with its arguments and where it was launched. */
struct Kernel {
  const char* name;
  SourceLine where;
  const void* address;
  dim3 grid, block;
  std::size_t dynamic_shared;
  bool cooperative;
  std::shared_ptr<const Body> body;
  std::vector<const void*> pointers;  // among the arguments
  int device = 0;
};

/** Checks the launch as a device does, and queues it. */
cudaError_t submit(Kernel kernel, cudaStream_t stream);

/** Pointers to data among the arguments; those within structures are not looked at. */
template <class T>
void note_pointer(std::vector<const void*>& pointers, const T& argument) {
  if constexpr (std::is_pointer_v<T>)
    if constexpr (std::is_object_v<std::remove_pointer_t<T>> || std::is_void_v<std::remove_pointer_t<T>>)
      pointers.push_back(const_cast<const void*>(static_cast<const volatile void*>(argument)));
}

/** Arguments become the kernel's parameters here and now, as they do in <<<>>>. */
template <class... Parameters>
cudaError_t launch(const char* name, SourceLine where, bool cooperative, void (*kernel)(Parameters...), dim3 grid, dim3 block,
                   std::size_t dynamic_shared, cudaStream_t stream, const std::type_identity_t<Parameters>&... arguments) {
  std::vector<const void*> pointers;
  (note_pointer(pointers, arguments), ...);
  return submit({name, where, reinterpret_cast<const void*>(kernel), grid, block, dynamic_shared, cooperative,
                 std::make_shared<Call<Parameters...>>(kernel, arguments...), std::move(pointers)},
                stream);
}

template <class... Parameters, std::size_t... i>
cudaError_t launch_array(void (*kernel)(Parameters...), dim3 grid, dim3 block, void** arguments, std::size_t dynamic_shared,
                         cudaStream_t stream, bool cooperative, SourceLine where, std::index_sequence<i...>) {
  return launch("of cudaLaunchKernel", where, cooperative, kernel, grid, block, dynamic_shared, stream,
                *static_cast<std::remove_const_t<Parameters>*>(arguments[i])...);
}

}  // namespace tvn::emulation

/** kernel<<<grid, block, shared, stream>>>(…) */
#define LAUNCH(kernel, grid, block, shared, stream, ...)                                                                           \
  static_cast<void>(::tvn::emulation::launch(#kernel, ::tvn::emulation::SourceLine::current(), false, kernel, grid, block, shared, \
                                             stream __VA_OPT__(, ) __VA_ARGS__))
/** All blocks run at once, so they may wait for one another. */
#define LAUNCH_COOPERATIVE(kernel, grid, block, shared, stream, ...)                                                              \
  static_cast<void>(::tvn::emulation::launch(#kernel, ::tvn::emulation::SourceLine::current(), true, kernel, grid, block, shared, \
                                             stream __VA_OPT__(, ) __VA_ARGS__))

template <class... Parameters>
cudaError_t cudaLaunchKernel(void (*kernel)(Parameters...), dim3 grid, dim3 block, void** arguments, std::size_t dynamic_shared,
                             cudaStream_t stream, tvn::emulation::SourceLine where = tvn::emulation::SourceLine::current()) {
  return tvn::emulation::launch_array(kernel, grid, block, arguments, dynamic_shared, stream, false, where,
                                      std::index_sequence_for<Parameters...>());
}
template <class... Parameters>
cudaError_t cudaLaunchCooperativeKernel(void (*kernel)(Parameters...), dim3 grid, dim3 block, void** arguments, std::size_t dynamic_shared,
                                        cudaStream_t stream, tvn::emulation::SourceLine where = tvn::emulation::SourceLine::current()) {
  return tvn::emulation::launch_array(kernel, grid, block, arguments, dynamic_shared, stream, true, where,
                                      std::index_sequence_for<Parameters...>());
}
