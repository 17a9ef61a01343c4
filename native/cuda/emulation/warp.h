// Barriers of a block, and what the lanes of a warp do together. All lanes of a mask must come, from the same source line.
#pragma once

#include "cuda/emulation/fault.h"
#include "cuda/emulation/meeting.h"

namespace tvn::emulation {

enum class Shuffle { index, up, down, exclusive_or };

int barrier(bool vote, SourceLine where);
void synchronize_warp(unsigned mask, SourceLine where);
int lane_of_this_thread();
/** The lane that this one reads from: itself where the other would be outside of its `width` lanes. */
int shuffle_source(Shuffle shuffle, int argument, int width);
Slot shuffle(const char* operation, unsigned mask, const Slot& mine, int source, SourceLine where);
unsigned ballot(const char* operation, unsigned mask, bool vote, SourceLine where);
void pause();

template <class T>
T shuffle(const char* operation, unsigned mask, const T& value, int source, SourceLine where) {
  return shuffle(operation, mask, Slot::of(value), source, where).template as<T>();
}

}  // namespace tvn::emulation

inline void __syncthreads(tvn::emulation::SourceLine where = tvn::emulation::SourceLine::current()) {
  tvn::emulation::barrier(false, where);
}
inline int __syncthreads_count(int vote, tvn::emulation::SourceLine where = tvn::emulation::SourceLine::current()) {
  return tvn::emulation::barrier(vote != 0, where);
}
inline int __syncthreads_or(int vote, tvn::emulation::SourceLine where = tvn::emulation::SourceLine::current()) {
  return tvn::emulation::barrier(vote != 0, where) != 0;
}
inline int __syncthreads_and(int vote, tvn::emulation::SourceLine where = tvn::emulation::SourceLine::current()) {
  return tvn::emulation::barrier(vote == 0, where) == 0;
}
inline void __syncwarp(unsigned mask = tvn::emulation::all_lanes,
                       tvn::emulation::SourceLine where = tvn::emulation::SourceLine::current()) {
  tvn::emulation::synchronize_warp(mask, where);
}

template <class T>
T __shfl_sync(unsigned mask, T value, int lane, int width = 32, tvn::emulation::SourceLine where = tvn::emulation::SourceLine::current()) {
  return tvn::emulation::shuffle("__shfl_sync", mask, value, shuffle_source(tvn::emulation::Shuffle::index, lane, width), where);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32,
                 tvn::emulation::SourceLine where = tvn::emulation::SourceLine::current()) {
  return tvn::emulation::shuffle("__shfl_up_sync", mask, value, shuffle_source(tvn::emulation::Shuffle::up, static_cast<int>(delta), width),
                                 where);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32,
                   tvn::emulation::SourceLine where = tvn::emulation::SourceLine::current()) {
  return tvn::emulation::shuffle("__shfl_down_sync", mask, value,
                                 shuffle_source(tvn::emulation::Shuffle::down, static_cast<int>(delta), width), where);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = 32,
                  tvn::emulation::SourceLine where = tvn::emulation::SourceLine::current()) {
  return tvn::emulation::shuffle("__shfl_xor_sync", mask, value, shuffle_source(tvn::emulation::Shuffle::exclusive_or, lane_mask, width),
                                 where);
}

inline unsigned __ballot_sync(unsigned mask, int vote, tvn::emulation::SourceLine where = tvn::emulation::SourceLine::current()) {
  return tvn::emulation::ballot("__ballot_sync", mask, vote != 0, where);
}
inline int __any_sync(unsigned mask, int vote, tvn::emulation::SourceLine where = tvn::emulation::SourceLine::current()) {
  return tvn::emulation::ballot("__any_sync", mask, vote != 0, where) != 0;
}
inline int __all_sync(unsigned mask, int vote, tvn::emulation::SourceLine where = tvn::emulation::SourceLine::current()) {
  return tvn::emulation::ballot("__all_sync", mask, vote == 0, where) == 0;
}

/** Lets the others run: every loop that waits for another thread or block must call it. */
inline void __nanosleep(unsigned) { tvn::emulation::pause(); }
