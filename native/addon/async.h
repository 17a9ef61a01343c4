// Work off the event loop, delivered as a promise.
#pragma once

#include <napi.h>

#include <functional>
#include <new>
#include <string>
#include <utility>

#include "core/error.h"

namespace tvn::addon {

/** A JavaScript error with a stable code. */
inline Napi::Error make_error(Napi::Env env, const char* code, const std::string& message) {
  Napi::Error error = Napi::Error::New(env, message);
  error.Set("code", Napi::String::New(env, code));
  return error;
}

/** Runs `work` on a libuv thread and turns its result into a value with `deliver` on the JavaScript thread. */
template <class Result>
class AsyncTask final : public Napi::AsyncWorker {
 public:
  using Work = std::function<Result()>;
  using Deliver = std::function<Napi::Value(Napi::Env, Result&)>;

  /** `keep` stays referenced until the work is done; `finally` is called on the JavaScript thread before the promise settles. */
  static Napi::Value start(Napi::Env env, Work work, Deliver deliver, Napi::Object keep, std::function<void()> finally = {}) {
    auto* task = new AsyncTask(env, std::move(work), std::move(deliver), keep, std::move(finally));
    const Napi::Promise promise = task->deferred_.Promise();
    task->Queue();
    return promise;
  }

 protected:
  void Execute() override {
    try {
      result_ = work_();
    } catch (const Error& error) {
      code_ = error.code();
      SetError(error.what());
    } catch (const std::bad_alloc&) {
      code_ = "ERR_MEMORY";
      SetError("out of memory");
    } catch (const std::exception& error) {
      SetError(error.what());
    }
  }

  void OnOK() override {
    if (finally_) finally_();
    try {
      deferred_.Resolve(deliver_(Env(), result_));
    } catch (const Napi::Error& error) {
      deferred_.Reject(error.Value());
    }
  }

  void OnError(const Napi::Error& error) override {
    if (finally_) finally_();
    deferred_.Reject(make_error(Env(), code_, error.Message()).Value());
  }

 private:
  AsyncTask(Napi::Env env, Work work, Deliver deliver, Napi::Object keep, std::function<void()> finally)
      : AsyncWorker(env), deferred_(env), work_(std::move(work)), deliver_(std::move(deliver)), finally_(std::move(finally)) {
    if (!keep.IsEmpty()) keep_ = Napi::Persistent(keep);
  }

  Napi::Promise::Deferred deferred_;
  Napi::ObjectReference keep_;
  Work work_;
  Deliver deliver_;
  std::function<void()> finally_;
  Result result_{};
  const char* code_ = "ERR_NATIVE";
};

}  // namespace tvn::addon
