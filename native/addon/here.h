// Work on the JavaScript thread.
#pragma once

#include <napi.h>

#include <new>
#include <string>
#include <system_error>

#include "addon/async.h"
#include "core/error.h"

namespace tvn::addon {

/** f(), what it throws as a JavaScript error with a stable code. */
template <class F>
decltype(auto) here(Napi::Env env, const F& f) {
  try {
    return f();
  } catch (const Error& error) {
    throw make_error(env, error.code(), error.what());
  } catch (const std::bad_alloc&) {
    throw make_error(env, "ERR_MEMORY", "out of memory");
  } catch (const std::system_error& error) {  // threads
    throw make_error(env, "ERR_MEMORY", std::string("no more threads can be started: ") + error.what());
  }
}

}  // namespace tvn::addon
