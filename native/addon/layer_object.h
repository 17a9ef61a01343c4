#pragma once

#include <napi.h>

#include <memory>
#include <optional>

#include "runtime/single_layer.h"

namespace tvn::addon {

/** NativeLayer of lib/native.ts. Its calls run on the JavaScript thread, which waits. */
class LayerObject final : public Napi::ObjectWrap<LayerObject> {
 public:
  static Napi::Function define(Napi::Env env);
  /** createLayer(options) */
  static Napi::Value create(const Napi::CallbackInfo& info);

  explicit LayerObject(const Napi::CallbackInfo& info);

 private:
  /** forward(x, parameters, y) */
  void forward(const Napi::CallbackInfo& info);
  /** backward(x, y, dy, parameters, dx, parameterGradients) */
  void backward(const Napi::CallbackInfo& info);
  Napi::Value kernel(const Napi::CallbackInfo& info);
  /** What it keeps from call to call: packed weights. */
  Napi::Value bytes(const Napi::CallbackInfo& info);
  void dispose(const Napi::CallbackInfo& info);
  SingleLayer& live(Napi::Env env) const;

  std::unique_ptr<SingleLayer> layer_;
  int threads_ = 1;
  std::optional<uint64_t> packed_;  // the fingerprint of the weights that are packed
};

}  // namespace tvn::addon
