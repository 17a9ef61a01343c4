// What calls on the JavaScript thread share: threads, scratch memory and arrays, kept from call to call.
#pragma once

#include <map>
#include <memory>

#include "addon/array_pool.h"
#include "core/buffer.h"
#include "core/thread_pool.h"

namespace tvn::addon {

class Workspace {
 public:
  ThreadPool& pool(int threads) {
    std::unique_ptr<ThreadPool>& pool = pools_[threads];
    if (!pool) pool = std::make_unique<ThreadPool>(threads);
    return *pool;
  }

  /** The same memory in every call. Throws std::bad_alloc. */
  float* scratch(std::size_t floats) {
    if (floats > scratch_.size()) {
      scratch_ = {};
      scratch_ = Buffer<float>(floats);
    }
    return scratch_.data();
  }

  ArrayPool arrays;

 private:
  std::map<int, std::unique_ptr<ThreadPool>> pools_;
  Buffer<float> scratch_;
};

}  // namespace tvn::addon
