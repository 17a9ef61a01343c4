// Every kernel that this CPU can run, with every number of threads.
#pragma once

#include <gtest/gtest.h>

#include <iostream>
#include <set>
#include <span>
#include <string>

#include "core/isa.h"
#include "core/thread_pool.h"

namespace tvn::test {

/** Says once for every kernel that it is left out. */
inline void report_left_out(const char* kernel, Isa needs) {
  static std::set<std::string> reported;
  if (reported.insert(kernel).second)
    std::cout << "[ NOT RUN  ] " << kernel << ": " << isa_name(needs) << " is missing or excluded by TVN_MAX_ISA\n";
}

/**
 * Calls f(kernel) for every kernel of a dispatch list that allowed_isa() admits; failures name it.
 * `List` is a span of Kernel<…> or of any struct with `name` and `isa`.
 */
template <class List, class F>
void for_each_kernel(const List& list, const F& f) {
  ASSERT_FALSE(list.empty());
  ASSERT_EQ(list.back().isa, Isa::reference) << "a dispatch list ends with its reference";
  for (const auto& kernel : list) {
    if (kernel.isa <= allowed_isa()) {
      SCOPED_TRACE(kernel.name);
      f(kernel);
    } else {
      report_left_out(kernel.name, kernel.isa);
    }
  }
}

inline constexpr int thread_counts[] = {1, 2, 3};

/** Calls f(pool) for pools of 1, 2 and 3 threads; failures name the number. */
template <class F>
void for_each_thread_count(const F& f) {
  for (const int threads : thread_counts) {
    SCOPED_TRACE(testing::Message() << threads << " threads");
    ThreadPool pool(threads);
    f(pool);
  }
}

}  // namespace tvn::test
