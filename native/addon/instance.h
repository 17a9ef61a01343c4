#pragma once

#include <napi.h>

#include <memory>

#include "addon/workspace.h"
#include "runtime/plan.h"
#include "runtime/single_layer.h"
#include "runtime/trainer.h"

namespace tvn::addon {

/** What the addon keeps per environment (main thread or worker): nothing is global. */
struct Instance {
  Napi::FunctionReference plan_class, trainer_class, layer_class;
  // handed to the constructor that runs next; empty when JavaScript calls a constructor by itself, which is refused
  std::shared_ptr<Plan> next_plan;
  std::shared_ptr<Trainer> next_trainer;
  std::unique_ptr<SingleLayer> next_layer;
  int next_layer_threads = 1;
  Workspace workspace;
};

inline Instance& instance(Napi::Env env) { return *env.GetInstanceData<Instance>(); }

}  // namespace tvn::addon
