// Float32Arrays whose memory is used again once they are collected.
#pragma once

#include <napi.h>

#include <memory>

namespace tvn::addon {

/**
 * A large array of its own costs more than most kernels that fill it: its pages are mapped and zeroed one by one, and given back when it is
 * collected. Blocks of a pool are kept instead, up to a limit. Node hands collected arrays back when the event loop turns; until then, and
 * beyond another limit, arrays are ordinary ones.
 */
class ArrayPool {
 public:
  ArrayPool();
  ~ArrayPool();
  ArrayPool(const ArrayPool&) = delete;
  ArrayPool& operator=(const ArrayPool&) = delete;

  /** An array of so many floats, which hold anything. */
  Napi::Float32Array allocate(Napi::Env env, std::size_t floats);

 private:
  struct Blocks;
  std::shared_ptr<Blocks> blocks_;  // arrays may outlive the pool
};

}  // namespace tvn::addon
