// Whether this machine can hold what a plan or a trainer needs.
#pragma once

#include <cstddef>

namespace tvn {

/** Bytes that programs may still take without swapping; physical memory where the system does not tell. */
std::size_t available_memory();

/** Throws Error("ERR_MEMORY") when `bytes` exceed the available memory: overcommitment would grant them and kill the process later. */
void require_memory(std::size_t bytes);

/**
 * One arena of the allocator for all threads to come, unless MALLOC_ARENA_MAX says otherwise: plans of many sizes, made on one thread and
 * freed on another, leave holes in every arena, and a process that makes thousands of plans would grow by tens of MiB.
 * Nothing here allocates while a plan runs, so threads do not wait for each other.
 */
void share_arena();

/** Gives freed memory back to the system. */
void release_freed_memory();

}  // namespace tvn
