// What calls on the JavaScript thread share: threads, scratch memory and arrays, kept from call to call.
#pragma once

#include <memory>

#include "addon/array_pool.h"
#include "core/buffer.h"
#include "core/thread_pool.h"

namespace tvn::addon {

class Workspace {
 public:
  /** The threads of the last call, where it had as many. */
  ThreadPool& pool(int threads) {
    if (!pool_ || pool_->threads() != threads) pool_ = std::make_unique<ThreadPool>(threads);
    return *pool_;
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
  std::unique_ptr<ThreadPool> pool_;
  Buffer<float> scratch_;
};

}  // namespace tvn::addon
