#include "runtime/single_layer.h"

#include <string>

#include "core/error.h"

namespace tvn {
namespace {

constexpr int64_t max_elements = int64_t{1} << 33;

[[noreturn]] void fail(const std::string& what) { throw Error("ERR_ARGUMENT", what); }

void require_extents(const Shape& s) {
  int64_t size = 1;
  for (const int64_t extent : {s.n, s.t, s.h, s.w, s.c}) {
    if (extent < 1 || extent > max_elements / size)
      fail("a tensor of " + std::to_string(s.n) + "×" + to_string(s) + " is empty or too large");
    size *= extent;
  }
}

size_t inputs_of(OpKind kind) { return kind == OpKind::attention ? 3 : kind == OpKind::gate ? 2 : 1; }

Window window_of(const SingleOp& op) {
  const Attributes& a = op.attributes;
  return {a.kernel.t, a.kernel.h, a.kernel.w, a.stride.t, a.stride.h, a.stride.w, op.pad.t, op.pad.h, op.pad.w};
}

/** Kernels rely on it: every window holds an element of x, and none more would fit into x. */
void require_window(const SingleOp& op, const Window& k) {
  const auto fits = [](int64_t in, int64_t out, int kernel, int stride, int64_t pad) {
    return pad >= 0 && pad < kernel && (out - 1) * stride - pad < in && out * stride - pad + kernel > in;
  };
  const Shape &x = op.x[0], &y = op.y;
  if (!fits(x.t, y.t, k.kt, k.st, k.pt) || !fits(x.h, y.h, k.kh, k.sh, k.ph) || !fits(x.w, y.w, k.kw, k.sw, k.pw) || x.n != y.n)
    fail("windows over " + to_string(x) + " cannot make " + to_string(y));
  if (op.kind == OpKind::depthwise && (k.kt != 1 || k.st != 1 || x.t != y.t)) fail("a depthwise kernel spans one frame");
  if (op.kind != OpKind::conv && x.c != y.c) fail("y has " + std::to_string(y.c) + " channels, x " + std::to_string(x.c));
}

void require_shapes(const SingleOp& op) {
  if (op.x.size() != inputs_of(op.kind)) fail("expected " + std::to_string(inputs_of(op.kind)) + " inputs");
  for (const Shape& x : op.x) require_extents(x);
  require_extents(op.y);
  const Shape &x = op.x[0], &y = op.y;
  const auto expect = [](const Shape& is, const Shape& expected) {
    if (!(is == expected)) fail("a tensor is " + to_string(is) + ", expected " + to_string(expected));
  };
  switch (op.kind) {
    case OpKind::conv:
    case OpKind::depthwise:
    case OpKind::pool: return require_window(op, window_of(op));
    case OpKind::activation: return expect(y, x);
    case OpKind::mean: return expect(y, {x.n, op.attributes.extent == Extent::clip ? 1 : x.t, 1, 1, x.c});
    case OpKind::gate: return expect(op.x[1], {x.n, 1, 1, 1, x.c}), expect(y, x);
    case OpKind::attention:
      expect(op.x[2], op.x[1]), expect(y, x);
      if (op.x[1].c != x.c || op.x[1].n != x.n) fail("theta and phi do not fit");
      return;
    default: fail("this op has no layer of its own");
  }
}

std::vector<int64_t> sizes_of_parameters(const SingleOp& op) {
  if (op.kind != OpKind::conv && op.kind != OpKind::depthwise) return {};
  const int64_t filters = op.kind == OpKind::conv ? op.y.c : 1, of_filter = window_of(op).taps() * op.x[0].c;
  if (of_filter > max_elements / filters) fail("the weights are too large");
  return {of_filter * filters, op.bias ? op.y.c : 0};
}

}  // namespace

SingleLayer::SingleLayer(const SingleOp& op, Isa isa, int threads) : trains_(op.purpose == Purpose::training) {
  require_shapes(op);
  y_size_ = op.y.size();
  const Attributes& a = op.attributes;
  Node node{op.kind, "op", {}, 0, {}, a, window_of(op), {}, {}};
  Program program;
  const auto add = [&](const Shape& shape) {
    program.tensors.push_back({"", batched(shape, 1), -1, 1});
    return static_cast<int>(program.tensors.size()) - 1;
  };
  for (const Shape& x : op.x) {
    node.inputs.push_back(add(x));
    x_sizes_.push_back(x.size());
  }
  node.output = add(op.y);
  parameter_sizes_ = sizes_of_parameters(op);
  node.parameters.assign(split_names(row(op.kind).parameters).size(), -1);
  layer_ = make_layer(program, node, {op.x[0].n, op.purpose, isa, threads});
}

}  // namespace tvn
