#include "kernels/dense/dense.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/dense/dense_reference.h"
#include "test/gradient.h"
#include "test/kernels.h"
#include "test/random.h"
#include "test/tolerance.h"

namespace tvn {
namespace {

using namespace test;

constexpr DenseShape shapes[] = {{1, 1, 1},   {2, 3, 5},   {16, 48, 10},  {3, 17, 16},   {5, 33, 17},
                                 {17, 4, 33}, {7, 65, 15}, {1, 512, 600}, {4, 1024, 101}};

TEST(Dense, ForwardIsTheReference) {
  Random random;
  ThreadPool pool(1);
  for_each_kernel(dense_forward_kernels(), [&](const Kernel<DenseForward>& kernel) {
    for (const DenseShape& s : shapes) {
      SCOPED_TRACE(testing::Message() << s.rows << " × " << s.channels << " → " << s.outputs);
      const GuardedBuffer<float> x = random.buffer(s.rows * s.channels, 1), w = random.buffer(s.channels * s.outputs, 2),
                                 b = random.buffer(s.outputs, 3);
      GuardedBuffer<float> y(s.rows * s.outputs, 1);
      std::vector<double> want(y.size());
      reference::dense_forward(s, to_double(x).data(), to_double(w).data(), to_double(b).data(), want.data());
      kernel.run(s, {x.data(), w.data(), b.data(), y.data()}, pool);
      expect_close(y, want, {.terms = static_cast<double>(s.channels)});
    }
  });
}

TEST(Dense, BackwardIsTheReferenceWithAndWithoutDx) {
  Random random;
  ThreadPool pool(1);
  for_each_kernel(dense_backward_kernels(), [&](const Kernel<DenseBackward>& kernel) {
    for (const DenseShape& s : shapes) {
      SCOPED_TRACE(testing::Message() << s.rows << " × " << s.channels << " → " << s.outputs);
      const GuardedBuffer<float> x = random.buffer(s.rows * s.channels, 1), w = random.buffer(s.channels * s.outputs, 2),
                                 dy = random.buffer(s.rows * s.outputs, 3);
      GuardedBuffer<float> dx(s.rows * s.channels, 1), dw(s.channels * s.outputs, 2), db(s.outputs, 3);
      std::vector<double> want_dx(dx.size()), want_dw(dw.size()), want_db(db.size());
      reference::dense_backward(s, to_double(x).data(), to_double(w).data(), to_double(dy).data(), want_dx.data(), want_dw.data(),
                                want_db.data());
      kernel.run(s, {x.data(), w.data(), dy.data(), dx.data(), dw.data(), db.data()}, pool);
      expect_close(dx, want_dx, {.terms = static_cast<double>(s.outputs)});
      expect_close(dw, want_dw, {.terms = static_cast<double>(s.rows)});
      expect_close(db, want_db, {.terms = static_cast<double>(s.rows)});
      GuardedBuffer<float> dw_alone(s.channels * s.outputs), db_alone(s.outputs);
      kernel.run(s, {x.data(), w.data(), dy.data(), nullptr, dw_alone.data(), db_alone.data()}, pool);
      expect_same_bits(dw_alone, dw);
      expect_same_bits(db_alone, db);
    }
  });
}

TEST(Dense, ThreadsDoNotChangeBits) {
  Random random;
  const DenseShape s{17, 129, 101};
  const GuardedBuffer<float> x = random.buffer(s.rows * s.channels), w = random.buffer(s.channels * s.outputs),
                             b = random.buffer(s.outputs), dy = random.buffer(s.rows * s.outputs);
  for_each_kernel(dense_forward_kernels(), [&](const Kernel<DenseForward>& kernel) {
    std::vector<float> first;
    for_each_thread_count([&](ThreadPool& pool) {
      std::vector<float> y(dy.size());
      kernel.run(s, {x.data(), w.data(), b.data(), y.data()}, pool);
      if (first.empty()) first = y;
      expect_same_bits(y, first);
    });
  });
  for_each_kernel(dense_backward_kernels(), [&](const Kernel<DenseBackward>& kernel) {
    std::vector<float> first;
    for_each_thread_count([&](ThreadPool& pool) {
      std::vector<float> dx(x.size()), dw(w.size()), db(b.size());
      kernel.run(s, {x.data(), w.data(), dy.data(), dx.data(), dw.data(), db.data()}, pool);
      dx.insert(dx.end(), dw.begin(), dw.end());
      dx.insert(dx.end(), db.begin(), db.end());
      if (first.empty()) first = dx;
      expect_same_bits(dx, first);
    });
  });
}

TEST(Dense, NanStaysInItsRow) {
  ThreadPool pool(1);
  const DenseShape s{3, 5, 19};
  for_each_kernel(dense_forward_kernels(), [&](const Kernel<DenseForward>& kernel) {
    std::vector<float> x(15, 1.0f), w(95, 1.0f), b(19, 1.0f), y(57);
    x[7] = std::numeric_limits<float>::quiet_NaN();
    kernel.run(s, {x.data(), w.data(), b.data(), y.data()}, pool);
    for (size_t i = 0; i < y.size(); i++) EXPECT_EQ(std::isnan(y[i]), i / 19 == 1) << i;
  });
}

TEST(Dense, GradientsAreTheFiniteDifferences) {
  Random random;
  const DenseShape s{3, 5, 4};
  std::vector<double> x(15), w(20), b(4), y(12), dy(12), dx(15), dw(20), db(4);
  for (std::vector<double>* values : {&x, &w, &b, &dy}) random.fill<double>(*values);
  const auto loss = [&] {
    reference::dense_forward(s, x.data(), w.data(), b.data(), y.data());
    return dot(y, dy);
  };
  reference::dense_backward(s, x.data(), w.data(), dy.data(), dx.data(), dw.data(), db.data());
  expect_gradient("dx", x, dx, loss);
  expect_gradient("dw", w, dw, loss);
  expect_gradient("db", b, db, loss);
}

}  // namespace
}  // namespace tvn
