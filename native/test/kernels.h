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

/**
 * Calls f(kernel) for every kernel of a dispatch list that allowed_isa() admits; failures name it. A kernel left out is said so once.
 * `List` is a span of Kernel<…> or of any struct with `name` and `isa`.
 */
template <class List, class F>
void for_each_kernel(const List& list, const F& f) {
  static std::set<std::string> left_out;
  ASSERT_FALSE(list.empty());
  ASSERT_EQ(list.back().isa, Isa::reference) << "a dispatch list ends with its reference";
  for (const auto& kernel : list) {
    if (kernel.isa <= allowed_isa()) {
      SCOPED_TRACE(kernel.name);
      f(kernel);
    } else if (left_out.insert(kernel.name).second) {
      std::cout << "[ NOT RUN  ] " << kernel.name << ": " << isa_name(kernel.isa) << " is missing or excluded by TVN_MAX_ISA\n";
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
