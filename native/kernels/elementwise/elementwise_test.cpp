#include "kernels/elementwise/elementwise.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/elementwise/elementwise_reference.h"
#include "test/kernels.h"
#include "test/random.h"
#include "test/sizes.h"
#include "test/tolerance.h"

namespace tvn {
namespace {

using namespace test;

template <class F>
void for_each_unary(const F& f) {
  for (size_t i = 0; i < std::size(unary_names); i++) {
    SCOPED_TRACE(unary_names[i]);
    f(static_cast<Unary>(i));
  }
}
template <class F>
void for_each_binary(const F& f) {
  for (size_t i = 0; i < std::size(binary_names); i++) {
    SCOPED_TRACE(binary_names[i]);
    f(static_cast<Binary>(i));
  }
}

TEST(Unary, IsTheReferenceAndMayOverwriteItsInput) {
  Random random;
  ThreadPool pool(1);
  for_each_kernel(unary_kernels(), [&](const Kernel<UnaryKernel>& kernel) {
    for_each_unary([&](Unary function) {
      for (const int64_t size : hostile_sizes) {
        // roots and reciprocals away from 0, where their own rounding is not what is tested
        const bool positive = function == Unary::sqrt || function == Unary::rsqrt || function == Unary::reciprocal;
        GuardedBuffer<float> x = random.buffer(size, 1, 4, positive ? 5 : 3);
        GuardedBuffer<float> y(size, 3);
        std::vector<double> want(x.size());
        reference::unary(size, function, to_double(x).data(), want.data());
        kernel.run(size, {function, x.data(), y.data()}, pool);
        expect_close(y, want, {});
        kernel.run(size, {function, x.data(), x.data()}, pool);
        expect_same_bits(x, y);
      }
    });
  });
}

TEST(Unary, SpecialValues) {
  ThreadPool pool(1);
  constexpr float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> x = {0, -0.0f, inf, -inf, nan, 6, 7, -1, 1e-30f};
  for_each_kernel(unary_kernels(), [&](const Kernel<UnaryKernel>& kernel) {
    for_each_unary([&](Unary function) {
      std::vector<float> y(x.size());
      kernel.run(static_cast<int64_t>(x.size()), {function, x.data(), y.data()}, pool);
      for (size_t i = 0; i < x.size(); i++) {
        const double want = reference::apply(function, static_cast<double>(x[i]));
        if (std::isnan(want))
          EXPECT_TRUE(std::isnan(y[i])) << x[i];
        else
          EXPECT_FLOAT_EQ(y[i], static_cast<float>(want)) << x[i];
      }
    });
  });
}

using Extents = std::vector<int64_t>;
struct Pair {
  Extents a, b;
};

const Pair pairs[] = {{{7}, {7}},
                      {{1}, {1}},
                      {{1000, 37}, {1000, 37}},
                      {{1000, 37}, {1, 37}},
                      {{1, 3}, {5000, 3}},
                      {{20000, 1}, {1, 1}},
                      {{1, 1}, {1, 20000}},
                      {{50, 1}, {50, 33}},
                      {{50, 33}, {50, 1}},
                      {{64, 1}, {1, 65}},
                      {{2, 3, 4, 5, 6}, {2, 1, 1, 1, 6}},
                      {{2, 3, 4, 5, 17}, {1, 3, 4, 1, 17}},
                      {{3, 1, 4, 1, 5, 1}, {1, 2, 1, 6, 1, 7}},
                      {{2, 9, 9, 512}, {1, 1, 1, 512}},
                      {{4, 300, 1}, {4, 1, 300}}};

TEST(Binary, IsTheReferenceHoweverItIsBroadcast) {
  Random random;
  ThreadPool pool(1);
  for (const auto& [a, b] : pairs) {
    const std::optional<Broadcast> s = broadcast_of(a, b);
    ASSERT_TRUE(s);
    SCOPED_TRACE(testing::Message() << testing::PrintToString(a) << " " << testing::PrintToString(b));
    const auto size = [](const Extents& extents) {
      int64_t n = 1;
      for (const int64_t extent : extents) n *= extent;
      return n;
    };
    const GuardedBuffer<float> x = random.buffer(size(a), 1, 2, 3), z = random.buffer(size(b), 2, 2, 3);
    for_each_kernel(binary_kernels(), [&](const Kernel<BinaryKernel>& kernel) {
      for_each_binary([&](Binary function) {
        GuardedBuffer<float> y(s->size(), 3);
        std::vector<double> want(y.size());
        // by the definition, index by index, and not by the axes that were joined
        for (size_t i = 0; i < y.size(); i++) {
          size_t rest = i, at_a = 0, at_b = 0, step_a = 1, step_b = 1;
          for (size_t k = a.size(); k-- > 0;) {
            const size_t extent = static_cast<size_t>(std::max(a[k], b[k])), index = rest % extent;
            rest /= extent;
            at_a += a[k] == 1 ? 0 : index * step_a;
            at_b += b[k] == 1 ? 0 : index * step_b;
            step_a *= static_cast<size_t>(a[k]);
            step_b *= static_cast<size_t>(b[k]);
          }
          want[i] = reference::apply(function, static_cast<double>(x[at_a]), static_cast<double>(z[at_b]));
        }
        kernel.run(*s, {function, x.data(), z.data(), y.data()}, pool);
        expect_close(y, want, {.scale = 5});
        for_each_thread_count([&](ThreadPool& threads) {
          GuardedBuffer<float> again(s->size());
          kernel.run(*s, {function, x.data(), z.data(), again.data()}, threads);
          expect_same_bits(again, y);
        });
      });
    });
  }
}

TEST(Fingerprint, IsTheReferenceAndChangesWithEveryElement) {
  Random random;
  for_each_kernel(fingerprint_kernels(), [&](const Kernel<FingerprintKernel>& kernel) {
    for (const int64_t size : hostile_sizes) {
      GuardedBuffer<float> x = random.buffer(size, 1);
      const uint64_t before = kernel.run(x.data(), size);
      EXPECT_EQ(before, reference::fingerprint(x.data(), size));
      for (int64_t i = 0; i < size; i += std::max<int64_t>(1, size / 50)) {
        const float value = x[static_cast<size_t>(i)];
        x[static_cast<size_t>(i)] = std::nextafter(value, 2.0f);
        EXPECT_NE(kernel.run(x.data(), size), before) << i;
        x[static_cast<size_t>(i)] = value;
      }
      EXPECT_EQ(kernel.run(x.data(), size), before);
      if (size > 1) {
        const bool same = x[0] == x[1];
        std::swap(x[0], x[1]);
        EXPECT_EQ(kernel.run(x.data(), size) == before, same) << "the order counts";
      }
    }
  });
}

TEST(Compare, IsTheReference) {
  Random random;
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  for_each_kernel(compare_kernels(), [&](const Kernel<CompareKernel>& kernel) {
    for (size_t f = 0; f < std::size(comparison_names); f++)
      for (const int64_t size : hostile_sizes)
        for (const auto& [one_a, one_b] : {std::pair{false, false}, {true, false}, {false, true}}) {
          SCOPED_TRACE(testing::Message() << comparison_names[f] << ", size " << size);
          if (size == 0) continue;
          GuardedBuffer<float> a = random.buffer(size, 1), b = random.buffer(size, 2);
          for (size_t i = 0; i < a.size(); i += 3) a[i] = b[i];  // equal ones
          a[a.size() / 2] = nan;
          for_each_thread_count([&](ThreadPool& pool) {
            GuardedBuffer<uint8_t> y(size, 3), want(size);
            CompareArgs args{static_cast<Comparison>(f), a.data(), one_a, b.data(), one_b, want.data()};
            reference::compare(size, args);
            args.y = y.data();
            kernel.run(size, args, pool);
            EXPECT_EQ(std::vector(y.begin(), y.end()), std::vector(want.begin(), want.end()));
          });
        }
  });
}

TEST(Select, IsTheReferenceAndMayOverwriteAnInput) {
  Random random;
  ThreadPool pool(2);
  for_each_kernel(select_kernels(), [&](const Kernel<SelectKernel>& kernel) {
    for (const int64_t size : hostile_sizes) {
      GuardedBuffer<float> a = random.buffer(size, 1), b = random.buffer(size, 2), y(size, 3), want(size);
      GuardedBuffer<uint8_t> condition(size, 1);
      for (uint8_t& c : condition) c = static_cast<uint8_t>(random.bits() % 3);  // any number but 0 is true
      reference::select(size, {condition.data(), a.data(), b.data(), want.data()});
      kernel.run(size, {condition.data(), a.data(), b.data(), y.data()}, pool);
      expect_same_bits(y, want);
      kernel.run(size, {condition.data(), a.data(), b.data(), b.data()}, pool);
      expect_same_bits(b, want);
    }
  });
}

TEST(Clip, IsTheReference) {
  Random random;
  ThreadPool pool(2);
  for_each_kernel(clip_kernels(), [&](const Kernel<ClipKernel>& kernel) {
    for (const int64_t size : hostile_sizes) {
      GuardedBuffer<float> x = random.buffer(size, 1, 4), y(size, 3), want(size);
      if (size > 0) x[0] = std::numeric_limits<float>::quiet_NaN();
      reference::clip(size, {x.data(), -1, 2, want.data()});
      kernel.run(size, {x.data(), -1, 2, y.data()}, pool);
      expect_same_bits(y, want);
    }
  });
}

TEST(Binary, RefusesWhatDoesNotFit) {
  EXPECT_FALSE(broadcast_of(Extents{2, 3}, Extents{2, 4}));
  EXPECT_FALSE(broadcast_of(Extents{2, 3}, Extents{3}));
  const Extents seven = {2, 1, 2, 1, 2, 1, 2, 1}, other = {1, 2, 1, 2, 1, 2, 1, 2};
  EXPECT_FALSE(broadcast_of(seven, other)) << "more axes than there is room for";
}

}  // namespace
}  // namespace tvn
