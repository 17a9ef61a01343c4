#include "cuda/emulation/warp.h"

#include <bit>

#include "cuda/emulation/multiprocessor.h"
#include "cuda/emulation/sanitizer.h"

namespace tvn::emulation {

const Slot* meet(const char* operation, unsigned mask, const Slot& mine, SourceLine where, void (*together)(const Slot*), Order order) {
  Multiprocessor& processor = Multiprocessor::here();
  const unsigned lane = processor.current().lane();
  mask &= processor.lanes();
  if (!(mask >> lane & 1))
    processor.fault("%s of %s:%d has mask %08x, without the lane %u that calls it", operation, where.file, where.line, mask, lane);
  auto& place = processor.warp().meetings[std::countr_zero(mask)];
  if (!place) place = std::make_unique<Meeting>();
  Meeting& meeting = *place;
  if (meeting.arrived == 0) {
    meeting.operation = operation;
    meeting.where = where;
    meeting.mask = mask;
    meeting.first = lane;
  } else if (meeting.operation != operation || meeting.mask != mask || !(meeting.where == where)) {
    processor.fault("is at %s of %s:%d with mask %08x while lane %u waits at %s of %s:%d with mask %08x", operation, where.file, where.line,
                    mask, meeting.first, meeting.operation, meeting.where.file, meeting.where.line, meeting.mask);
  }
  const unsigned generation = meeting.generation % 2;
  Slot* slots = meeting.slots[generation];
  slots[lane] = mine;
  meeting.arrived |= 1u << lane;
  if (order == Order::memory) release(&meeting.order[generation]);
  if (meeting.arrived == mask) {
    if (together) together(slots);
    meeting.arrived = 0;
    meeting.generation++;
    for (unsigned others = mask & ~(1u << lane); others; others &= others - 1)
      processor.resume(static_cast<unsigned>(std::countr_zero(others)));
  } else {
    processor.wait(operation, where);
  }
  if (order == Order::memory) acquire(&meeting.order[generation]);
  return slots;
}

void meet_with_the_same(const char* operation, const Slot& mine, SourceLine where) {
  const Slot* slots = meet(operation, all_lanes, mine, where);
  if (slots[0].words[0] != mine.words[0] || slots[0].words[1] != mine.words[1])
    Multiprocessor::here().fault("%s of %s:%d has other arguments than in lane 0", operation, where.file, where.line);
}

Slot shuffle(const char* operation, unsigned mask, const Slot& mine, int source, SourceLine where) {
  const Slot* slots = meet(operation, mask, mine, where);
  if (!(mask & Multiprocessor::here().lanes() & 1u << source))
    Multiprocessor::here().fault("%s of %s:%d reads lane %d, which is not in mask %08x", operation, where.file, where.line, source, mask);
  return slots[source];
}

int shuffle_source(Shuffle shuffle, int argument, int width) {
  const int lane = lane_of_this_thread(), first = lane & ~(width - 1);
  switch (shuffle) {
    case Shuffle::index: return first + (argument & (width - 1));
    case Shuffle::up: return lane - argument < first ? lane : lane - argument;
    case Shuffle::down: return lane + argument >= first + width ? lane : lane + argument;
    case Shuffle::exclusive_or: return (lane ^ argument) >= first + width ? lane : lane ^ argument;
  }
  return lane;
}

unsigned ballot(const char* operation, unsigned mask, bool vote, SourceLine where) {
  const Slot* slots = meet(operation, mask, Slot::of(vote), where);
  unsigned votes = 0;
  for (unsigned lanes = mask & Multiprocessor::here().lanes(); lanes; lanes &= lanes - 1)
    if (const int lane = std::countr_zero(lanes); slots[lane].as<bool>()) votes |= 1u << lane;
  return votes;
}

int lane_of_this_thread() { return static_cast<int>(Multiprocessor::here().current().lane()); }

int barrier(bool vote, SourceLine where) { return Multiprocessor::here().barrier(vote, where); }

void synchronize_warp(unsigned mask, SourceLine where) { meet("__syncwarp", mask, {}, where, nullptr, Order::memory); }

void pause() { Multiprocessor::here().pause(); }

}  // namespace tvn::emulation
