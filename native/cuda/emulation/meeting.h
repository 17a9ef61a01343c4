// Lanes of a warp that wait for one another.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>

#include "cuda/emulation/fault.h"

namespace tvn::emulation {

constexpr unsigned all_lanes = ~0u;

/** What a lane brings to a meeting: up to 16 bytes. */
struct Slot {
  std::uint64_t words[2] = {};

  template <class T>
  static Slot of(const T& value) {
    static_assert(sizeof(T) <= sizeof(Slot));
    Slot slot;
    std::memcpy(slot.words, &value, sizeof(T));
    return slot;
  }
  template <class T>
  T as() const {
    T value;
    std::memcpy(&value, words, sizeof(T));
    return value;
  }
};

/** The lanes of one mask. Nobody can come to the meeting after next before all have left this one, so two sets of slots are enough. */
struct Meeting {
  const char* operation = nullptr;
  SourceLine where;
  unsigned mask = 0, arrived = 0, generation = 0;
  unsigned first = 0;  // lane
  Slot slots[2][32];
  char order[2];  // for TSan
};

struct Warp {
  std::unique_ptr<Meeting> meetings[32];  // by the lowest lane of the mask
};

/** What a __syncwarp orders, beyond waiting. */
enum class Order { none, memory };

/**
 * Waits for the lanes of `mask`, and returns what they brought, by lane. The last one to come first calls `together` with it. Only with
 * Order::memory do accesses before it happen before those after it: neither a shuffle nor an operation on fragments orders memory.
 */
const Slot* meet(const char* operation, unsigned mask, const Slot& mine, SourceLine where, void (*together)(const Slot*) = nullptr,
                 Order order = Order::none);

/** Meets the whole warp, which has to be there, and finds that every lane brought the same. */
void meet_with_the_same(const char* operation, const Slot& mine, SourceLine where);

}  // namespace tvn::emulation
