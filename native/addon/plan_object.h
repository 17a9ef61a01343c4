#pragma once

#include <napi.h>

#include <memory>

#include "runtime/plan.h"

namespace tvn::addon {

/** NativePlan of lib/native.ts. */
class PlanObject final : public Napi::ObjectWrap<PlanObject> {
 public:
  static Napi::Function define(Napi::Env env);
  /** createPlan(graph, parameters, options) */
  static Napi::Value create(const Napi::CallbackInfo& info);

  explicit PlanObject(const Napi::CallbackInfo& info);

 private:
  Napi::Value run(const Napi::CallbackInfo& info);
  Napi::Value run_here(const Napi::CallbackInfo&);
  Napi::Value measure(const Napi::CallbackInfo& info);
  Napi::Value profile(const Napi::CallbackInfo& info);
  Napi::Value stages(const Napi::CallbackInfo& info);
  Napi::Value choices(const Napi::CallbackInfo&);
  Napi::Value memory(const Napi::CallbackInfo& info);
  void dispose(const Napi::CallbackInfo& info);

  Plan& live(Napi::Env env) const;
  /** Marks the plan as running until the returned function is called. */
  std::function<void()> begin(Napi::Env env);

  std::shared_ptr<Plan> plan_;
  bool busy_ = false;
};

}  // namespace tvn::addon
