#pragma once

#include <napi.h>

namespace tvn::addon {

/** The functions of lib/native.ts that work on single tensors, on the JavaScript thread, which waits. */
void define_tensor_functions(Napi::Env env, Napi::Object exports);

}  // namespace tvn::addon
