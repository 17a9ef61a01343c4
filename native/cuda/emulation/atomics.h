// Atomic operations, fences and loads past the caches. Atomic operations order nothing by themselves: other accesses are ordered by
// __threadfence, and TSan is told so, except that whoever reads an atomic sees what was fenced before (the common "last block" pattern).
// TSan does not see the operations themselves, so a volatile access to the same number is no race.
#pragma once

#include <bit>
#include <type_traits>

namespace tvn::emulation {

/** Whatever this thread has seen or done is visible to those that come after. */
void fence();
/** What was fenced before is visible here. */
void see_fenced();

unsigned atomic_load(const unsigned* at);
unsigned long long atomic_load(const unsigned long long* at);
/** Stores `value` where `expected` is; returns what was there. */
unsigned compare_and_swap(unsigned* at, unsigned expected, unsigned value);
unsigned long long compare_and_swap(unsigned long long* at, unsigned long long expected, unsigned long long value);

/** Replaces old by change(old), and returns it. */
template <class T, class Change>
T atomic_change(T* at, Change change) {
  using Bits = std::conditional_t<sizeof(T) == 4, unsigned, unsigned long long>;
  Bits* const cell = reinterpret_cast<Bits*>(at);
  Bits old = atomic_load(cell);
  for (;;) {
    const Bits found = compare_and_swap(cell, old, std::bit_cast<Bits>(change(std::bit_cast<T>(old))));
    if (found == old) break;
    old = found;
  }
  see_fenced();
  return std::bit_cast<T>(old);
}

template <class T>
concept AtomicInteger = std::is_same_v<T, int> || std::is_same_v<T, unsigned> || std::is_same_v<T, unsigned long long>;
template <class T>
concept AtomicNumber = AtomicInteger<T> || std::is_same_v<T, float> || std::is_same_v<T, double>;

}  // namespace tvn::emulation

template <tvn::emulation::AtomicNumber T>
T atomicAdd(T* at, std::type_identity_t<T> value) {
  return tvn::emulation::atomic_change(at, [=](T old) { return old + value; });
}
template <tvn::emulation::AtomicInteger T>
T atomicSub(T* at, std::type_identity_t<T> value) {
  return tvn::emulation::atomic_change(at, [=](T old) { return old - value; });
}
template <tvn::emulation::AtomicInteger T>
T atomicMax(T* at, std::type_identity_t<T> value) {
  return tvn::emulation::atomic_change(at, [=](T old) { return old > value ? old : value; });
}
template <tvn::emulation::AtomicInteger T>
T atomicMin(T* at, std::type_identity_t<T> value) {
  return tvn::emulation::atomic_change(at, [=](T old) { return old < value ? old : value; });
}
template <tvn::emulation::AtomicInteger T>
T atomicAnd(T* at, std::type_identity_t<T> value) {
  return tvn::emulation::atomic_change(at, [=](T old) { return old & value; });
}
template <tvn::emulation::AtomicInteger T>
T atomicOr(T* at, std::type_identity_t<T> value) {
  return tvn::emulation::atomic_change(at, [=](T old) { return old | value; });
}
template <class T>
requires(tvn::emulation::AtomicInteger<T> || std::is_same_v<T, float>) T atomicExch(T* at, std::type_identity_t<T> value) {
  return tvn::emulation::atomic_change(at, [=](T) { return value; });
}
template <tvn::emulation::AtomicInteger T>
T atomicCAS(T* at, std::type_identity_t<T> expected, std::type_identity_t<T> value) {
  return tvn::emulation::atomic_change(at, [=](T old) { return old == expected ? value : old; });
}
/** Counts to `last`, then begins anew. */
inline unsigned atomicInc(unsigned* at, unsigned last) {
  return tvn::emulation::atomic_change(at, [=](unsigned old) { return old >= last ? 0 : old + 1; });
}

inline void __threadfence() { tvn::emulation::fence(); }
inline void __threadfence_block() { tvn::emulation::fence(); }

template <class T>
T __ldg(const T* from) {
  return *from;
}
/** From the second level of the cache: sees what other blocks have written and fenced. */
template <class T>
T __ldcg(const T* from) {
  return *from;
}
template <class T>
T __ldcs(const T* from) {
  return *from;
}
template <class T>
void __stcg(T* to, std::type_identity_t<T> value) {
  *to = value;
}
template <class T>
void __stcs(T* to, std::type_identity_t<T> value) {
  *to = value;
}
