#pragma once

#include <napi.h>

#include <memory>

#include "runtime/trainer.h"

namespace tvn::addon {

/** NativeTrainer of lib/native.ts. */
class TrainerObject final : public Napi::ObjectWrap<TrainerObject> {
 public:
  static Napi::Function define(Napi::Env env);
  /** createTrainer(graph, parameters, options) */
  static Napi::Value create(const Napi::CallbackInfo& info);

  explicit TrainerObject(const Napi::CallbackInfo& info);

 private:
  Napi::Value step(const Napi::CallbackInfo& info);
  /** Values or gradients by parameter's name. */
  Napi::Value read(const Napi::CallbackInfo& info, bool gradients);
  Napi::Value gradients(const Napi::CallbackInfo& info);
  Napi::Value weights(const Napi::CallbackInfo& info);
  void dispose(const Napi::CallbackInfo& info);

  /** The trainer, neither disposed nor in the middle of a call. */
  Trainer& idle(Napi::Env env) const;

  std::shared_ptr<Trainer> trainer_;
  bool busy_ = false;
};

}  // namespace tvn::addon
