#include "runtime/single_layer.h"

#include <gtest/gtest.h>

#include <vector>

#include "core/error.h"
#include "test/random.h"
#include "test/tolerance.h"

namespace tvn {
namespace {

using namespace test;

struct Tensors {
  std::vector<GuardedBuffer<float>> x, parameters, dx, gradients;
  GuardedBuffer<float> y, dy;
};

/** Runs a layer forward and backward; the same numbers for the same seed. */
Tensors run(const SingleOp& op, Isa isa, int threads, uint64_t seed) {
  Random random(seed, "");
  SingleLayer single(op, isa, threads);
  Layer& layer = single.layer();
  Tensors t{{}, {}, {}, {}, GuardedBuffer<float>(single.y_size(), 1), random.buffer(single.y_size(), 2)};
  Operands at;
  for (const int64_t size : single.x_sizes()) {
    t.x.push_back(random.buffer(size, 3));
    t.dx.emplace_back(size, 1);
  }
  for (const int64_t size : single.parameter_sizes()) {
    t.parameters.push_back(random.buffer(size, 1));
    t.gradients.emplace_back(size, 2);
  }
  const auto pointer = [](GuardedBuffer<float>& buffer) { return buffer.size() == 0 ? nullptr : buffer.data(); };
  for (auto& x : t.x) at.x.push_back(x.data());
  for (auto& dx : t.dx) at.dx.push_back(dx.data());
  for (auto& p : t.parameters) at.parameters.push_back(pointer(p));
  for (auto& g : t.gradients) at.parameter_gradients.push_back(pointer(g));
  at.parameters.resize(2);
  at.parameter_gradients.resize(2);
  at.accumulate.assign(at.dx.size(), 0);
  at.y = t.y.data();
  at.dy = t.dy.data();
  Buffer<float> scratch(layer.scratch());
  at.scratch = scratch.data();
  ThreadPool pool(threads);
  layer.pack(at, pool);
  layer.forward(at, {pool, 0});
  layer.backward(at, {pool, 0});
  return t;
}

/** Any window that holds an element of x everywhere, padded in front and behind by anything. */
SingleOp random_op(Random& random) {
  const OpKind kind = std::array{OpKind::conv, OpKind::depthwise, OpKind::pool}[static_cast<size_t>(random.integer(0, 2))];
  SingleOp op{.kind = kind, .purpose = Purpose::training};
  Attributes& a = op.attributes;
  const auto axis = [&](int64_t in, int most_kernel, int& kernel, int& stride, int& pad) {
    kernel = static_cast<int>(random.integer(1, most_kernel));
    stride = static_cast<int>(random.integer(1, 4));
    pad = static_cast<int>(random.integer(0, kernel - 1));
    const int64_t least = in + pad < kernel ? 1 : (in + pad - kernel) / stride + 1;
    return random.integer(least, (in - 1 + pad) / stride + 1);
  };
  const Shape x{random.integer(1, 2), random.integer(1, 4), random.integer(1, 9), random.integer(1, 9), random.integer(1, 20)};
  Shape y{x.n};
  y.t = axis(x.t, 3, a.kernel.t, a.stride.t, op.pad.t);
  y.h = axis(x.h, 6, a.kernel.h, a.stride.h, op.pad.h);
  y.w = axis(x.w, 6, a.kernel.w, a.stride.w, op.pad.w);
  if (kind == OpKind::depthwise) a.kernel.t = a.stride.t = 1, op.pad.t = 0, y.t = x.t;
  y.c = kind == OpKind::conv ? random.integer(1, 40) : x.c;
  op.bias = kind != OpKind::pool && random.integer(0, 1) == 1;
  a.pooling = random.integer(0, 1) == 1 ? Pooling::max : Pooling::avg;
  op.x = {x};
  op.y = y;
  return op;
}

TEST(SingleLayer, AnyWindowIsTheReference) {
  Random random;
  for (uint64_t i = 0; i < 600; i++) {
    const SingleOp op = random_op(random);
    const Window k{op.attributes.kernel.t, op.attributes.kernel.h, op.attributes.kernel.w};
    SCOPED_TRACE(testing::Message() << "op " << i << ": kind " << static_cast<int>(op.kind) << ", " << to_string(op.x[0]) << " to "
                                    << to_string(op.y) << ", kernel " << k.kt << " " << k.kh << " " << k.kw << ", pad " << op.pad.t << " "
                                    << op.pad.h << " " << op.pad.w);
    const Tensors want = run(op, Isa::reference, 1, i), got = run(op, allowed_isa(), 1, i), threads = run(op, allowed_isa(), 3, i);
    const auto compare = [&](const GuardedBuffer<float>& a, const GuardedBuffer<float>& b, const GuardedBuffer<float>& c, double terms) {
      expect_close(a, to_double(b), {.terms = terms, .factor = 32});  // both round, and Winograd's algorithm more than once
      expect_same_bits(c, a);
    };
    compare(got.y, want.y, threads.y, k.taps() * static_cast<double>(op.x[0].c));
    compare(got.dx[0], want.dx[0], threads.dx[0], k.taps() * static_cast<double>(op.y.c));
    for (size_t p = 0; p < want.gradients.size(); p++)
      compare(got.gradients[p], want.gradients[p], threads.gradients[p], static_cast<double>(op.y.rows()));
  }
}

TEST(SingleLayer, RefusesShapesThatDoNotFit) {
  const auto refused = [](const SingleOp& op) { EXPECT_THROW(SingleLayer(op, Isa::reference, 1), Error); };
  const Shape x{1, 2, 5, 5, 3};
  SingleOp conv{.kind = OpKind::conv, .x = {x}, .y = {1, 2, 5, 5, 4}};
  SingleLayer(conv, Isa::reference, 1);
  SingleOp wrong = conv;
  wrong.y.h = 6, refused(wrong);  // its last window would hold nothing
  wrong = conv, wrong.pad.h = 1, refused(wrong);
  wrong = conv, wrong.y.h = 4, refused(wrong);  // one more would fit
  wrong = conv, wrong.y.n = 2, refused(wrong);
  wrong = conv, wrong.x = {}, refused(wrong);
  wrong = conv, wrong.x = {x, x}, refused(wrong);
  wrong = conv, wrong.x[0].c = int64_t{1} << 40, refused(wrong);
  wrong = conv, wrong.x[0].w = 0, refused(wrong);
  wrong = conv, wrong.kind = OpKind::dense, refused(wrong);
  wrong = conv, wrong.kind = OpKind::pool, refused(wrong);
  refused({.kind = OpKind::gate, .x = {x, x}, .y = x});
  refused({.kind = OpKind::attention, .x = {x, x, {1, 1, 5, 5, 3}}, .y = x});
  refused({.kind = OpKind::mean, .x = {x}, .y = x});
}

}  // namespace
}  // namespace tvn
