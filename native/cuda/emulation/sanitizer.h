// What the sanitizers are told of fibers and of the order that barriers make. The functions are weak, so they are null in a program
// without the sanitizer: nothing here depends on how a file was compiled. The emulation's own .cpp files are compiled with
// -fno-sanitize=thread: what they do between fibers is synchronised in ways that TSan cannot see, and must not order a kernel's accesses.
#pragma once

#include <cstddef>

#ifdef __SANITIZE_THREAD__
#error "the emulation's own files are compiled with -fno-sanitize=thread"
#endif

extern "C" {
__attribute__((weak)) void __sanitizer_start_switch_fiber(void** fake_stack, const void* bottom, std::size_t size);
__attribute__((weak)) void __sanitizer_finish_switch_fiber(void* fake_stack, const void** old_bottom, std::size_t* old_size);
__attribute__((weak)) void __asan_unpoison_memory_region(const volatile void* from, std::size_t size);
__attribute__((weak)) void* __tsan_get_current_fiber();
__attribute__((weak)) void* __tsan_create_fiber(unsigned flags);
__attribute__((weak)) void __tsan_destroy_fiber(void* fiber);
__attribute__((weak)) void __tsan_switch_to_fiber(void* fiber, unsigned flags);
__attribute__((weak)) void __tsan_acquire(void* object);
__attribute__((weak)) void __tsan_release(void* object);
}

namespace tvn::emulation {

inline bool address_sanitizer() { return __asan_unpoison_memory_region != nullptr; }
inline bool thread_sanitizer() { return __tsan_create_fiber != nullptr; }

/** What came before a release of an object happened before what follows an acquire of it. */
inline void acquire(void* object) {
  if (__tsan_acquire) __tsan_acquire(object);
}
inline void release(void* object) {
  if (__tsan_release) __tsan_release(object);
}

}  // namespace tvn::emulation
