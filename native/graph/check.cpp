#include <limits>
#include <set>

#include "core/error.h"
#include "graph/graph.h"

namespace tvn {
namespace {

constexpr int64_t max_extent = 1 << 20;
constexpr int64_t max_elements = int64_t{1} << 33;

std::string to_string(const std::vector<int64_t>& extents) {
  std::string text = "[";
  for (size_t i = 0; i < extents.size(); i++) text += (i ? "," : "") + std::to_string(extents[i]);
  return text + "]";
}

/** Checks one op after the other and knows the shapes so far. */
class Checker {
 public:
  explicit Checker(const Graph& graph) : graph_(graph) {}

  Program run() {
    const Shape& s = graph_.input_shape;
    require_extents("input", s);
    if (s.n != 1 || s.c != 3) fail("input", graph_.input + " is " + tvn::to_string(s) + ", expected an RGB clip (3 channels)");
    add_tensor(graph_.input, s, -1);
    program_.input = 0;
    for (const Op& op : graph_.ops) check_op(op);
    const auto output = tensors_.find(graph_.output);
    if (output == tensors_.end() || graph_.ops.empty()) fail("output", "no op writes " + quoted(graph_.output));
    program_.output = output->second;
    const Shape& logits = program_.shape(program_.output);
    if (logits.rows() != 1) fail("output", graph_.output + " is " + tvn::to_string(logits) + ", expected 1×1×1×classes");
    for (const auto& [name, extents] : graph_.parameters)
      if (!parameters_.contains(name)) fail("parameters", "no op uses " + quoted(name));
    return std::move(program_);
  }

 private:
  static std::string quoted(const std::string& s) { return '"' + s + '"'; }

  [[noreturn]] static void fail(const std::string& where, const std::string& what) {
    throw Error("ERR_GRAPH_INVALID", where + ": " + what);
  }

  static void require_extents(const std::string& where, const Shape& s) {
    int64_t size = 1;
    for (const int64_t extent : {s.n, s.t, s.h, s.w, s.c}) {
      if (extent < 1 || extent > max_extent) fail(where, "extents " + tvn::to_string(s) + " must lie in 1…" + std::to_string(max_extent));
      size *= extent;  // cannot overflow: size <= 2^33 before, extent <= 2^20
      if (size > max_elements) fail(where, "a tensor of " + tvn::to_string(s) + " is too large");
    }
  }

  int add_tensor(const std::string& name, const Shape& shape, int producer) {
    const int index = static_cast<int>(program_.tensors.size());
    if (!tensors_.emplace(name, index).second) fail(name, "two ops write this tensor");
    program_.tensors.push_back({name, shape, producer, 0});
    return index;
  }

  void check_op(const Op& op) {
    if (!names_.insert(op.name).second) fail(op.name, "two ops have this name");
    Node node{op.kind, op.name, {}, 0, {}, op.attributes, {}, {}, op.absorbed};
    const auto slots = split_names(row(op.kind).inputs);
    if (op.inputs.size() > slots.size()) fail(op.name, "takes at most " + std::to_string(slots.size()) + " inputs");
    for (size_t i = 0; i < slots.size(); i++) {
      const bool optional = slots[i].ends_with('?');
      if (i >= op.inputs.size() || op.inputs[i].empty()) {
        if (!optional) fail(op.name, "input " + std::string(slots[i]) + " is missing");
        node.inputs.push_back(-1);
        continue;
      }
      const auto found = tensors_.find(op.inputs[i]);
      if (found == tensors_.end()) fail(op.name, "reads " + quoted(op.inputs[i]) + ", which no op before it writes");
      program_.tensors[static_cast<size_t>(found->second)].uses++;
      node.inputs.push_back(found->second);
    }
    while (node.inputs.back() < 0) node.inputs.pop_back();
    if ((node.inputs[0] == program_.input) != (op.kind == OpKind::normalize))
      fail(op.name, "the u8 clip goes into normalize, and nothing else does");
    node.parameters.assign(split_names(row(op.kind).parameters).size(), -1);
    const Shape y = infer(op, node);
    require_extents(op.name, y);
    node.output = add_tensor(op.output, y, static_cast<int>(program_.nodes.size()));
    program_.nodes.push_back(std::move(node));
  }

  /** Takes parameter `slot` with exactly these extents; the last one may be open (0) and is then returned. */
  int64_t parameter(const Op& op, Node& node, size_t slot, std::vector<int64_t> expected) {
    const std::string_view slot_name = split_names(row(op.kind).parameters)[slot];
    const std::string name = slot < op.parameters.size() ? op.parameters[slot] : "";
    if (name.empty()) {
      if (slot_name.ends_with('?')) return 0;
      fail(op.name, "parameter " + std::string(slot_name) + " is missing");
    }
    const auto found = graph_.parameters.find(name);
    if (found == graph_.parameters.end()) fail(op.name, "parameter " + quoted(name) + " is not in the graph's list");
    const std::vector<int64_t>& extents = found->second;
    if (!extents.empty() && expected.back() == 0 && extents.back() > 0 && extents.back() <= max_extent) expected.back() = extents.back();
    if (extents != expected) fail(op.name, "parameter " + quoted(name) + " is " + to_string(extents) + ", expected " + to_string(expected));
    int64_t size = 1;
    for (const int64_t extent : extents) {
      size *= extent;
      if (size > max_elements) fail(op.name, "parameter " + quoted(name) + " of " + to_string(extents) + " is too large");
    }
    if (!parameters_.emplace(name, static_cast<int>(program_.parameters.size())).second)
      fail(op.name, "parameter " + quoted(name) + " is used twice");
    node.parameters[slot] = static_cast<int>(program_.parameters.size());
    const bool running = op.kind == OpKind::batch_norm && slot >= 2;
    program_.parameters.push_back({name, extents, size, !running});
    return extents.back();
  }

  /** What fusing passes add to a convolution. */
  void check_fused(const Op& op, Node& node, const Shape& y) {
    const auto expect = [&](size_t i, const char* what, const Shape& expected) {
      if (!node.has(i)) return;
      const Shape& shape = program_.shape(node.inputs[i]);
      if (!(shape == expected))
        fail(op.name, std::string(what) + " is " + tvn::to_string(shape) + ", expected " + tvn::to_string(expected));
    };
    expect(1, "residual", y);
    expect(2, "scale", {1, 1, 1, 1, y.c});
    if (!node.has(3)) return;
    if (!is_pointwise(op) || node.has(1)) fail(op.name, "a shortcut needs a pointwise convolution without residual");
    const Shape x = program_.shape(node.inputs[3]);
    const Window& s = node.shortcut_window = {
        1, 1, 1, op.attributes.shortcut_stride.t, op.attributes.shortcut_stride.h, op.attributes.shortcut_stride.w, 0, 0, 0};
    for (const int stride : {s.st, s.sh, s.sw})
      if (stride < 1 || stride > 64) fail(op.name, "the shortcut's stride must lie in 1…64");
    const auto out = [](int64_t n, int stride) { return (n + stride - 1) / stride; };
    const Shape strided{1, out(x.t, s.st), out(x.h, s.sh), out(x.w, s.sw), y.c};
    if (!(strided == y)) fail(op.name, "the shortcut makes " + tvn::to_string(strided) + ", expected " + tvn::to_string(y));
    parameter(op, node, 2, {1, 1, 1, x.c, y.c});
    parameter(op, node, 3, {y.c});
  }

  Shape slide(const Op& op, Node& node, const Shape& x, bool over_time) const {
    const Attributes& a = op.attributes;
    for (const int k : {a.kernel.t, a.kernel.h, a.kernel.w, a.stride.t, a.stride.h, a.stride.w})
      if (k < 1 || k > 64) fail(op.name, "kernel and stride must lie in 1…64");
    if (!over_time && (a.kernel.t != 1 || a.stride.t != 1)) fail(op.name, "a depthwise kernel spans one frame");
    const auto axis = [&](int64_t n, int k, int s) { return a.padding == Padding::same ? same_axis(n, k, s) : valid_axis(n, k, s); };
    const WindowAxis t = axis(x.t, a.kernel.t, a.stride.t), h = axis(x.h, a.kernel.h, a.stride.h), w = axis(x.w, a.kernel.w, a.stride.w);
    if (t.out < 1 || h.out < 1 || w.out < 1)
      fail(op.name, "the kernel is larger than its input " + tvn::to_string(x) + " and padding is valid");
    node.window = {a.kernel.t, a.kernel.h, a.kernel.w, a.stride.t, a.stride.h, a.stride.w, t.pad_front, h.pad_front, w.pad_front};
    return {1, t.out, h.out, w.out, x.c};
  }

  Shape infer(const Op& op, Node& node) {
    const Shape x = program_.shape(node.inputs[0]);
    const auto other = [&](size_t i) { return program_.shape(node.inputs[i]); };
    const auto require_function = [&](bool ok) {
      if (!ok)
        fail(op.name, "function " + std::string(split_names(enum_names<Function>())[static_cast<size_t>(op.attributes.function)]) +
                          " is not possible here");
    };
    switch (op.kind) {
      case OpKind::normalize:
      case OpKind::dropout:
        if (!(op.attributes.rate >= 0 && op.attributes.rate < 1)) fail(op.name, "rate must lie in [0, 1)");
        return x;
      case OpKind::conv: {
        Shape y = slide(op, node, x, true);
        y.c = parameter(op, node, 0, {node.window.kt, node.window.kh, node.window.kw, x.c, 0});
        parameter(op, node, 1, {y.c});
        check_fused(op, node, y);
        return y;
      }
      case OpKind::depthwise: {
        const Shape y = slide(op, node, x, false);
        parameter(op, node, 0, {node.window.kh, node.window.kw, x.c});
        parameter(op, node, 1, {x.c});
        return y;
      }
      case OpKind::pool: return slide(op, node, x, true);
      case OpKind::batch_norm:
        for (size_t slot = 0; slot < 4; slot++) parameter(op, node, slot, {x.c});
        return x;
      case OpKind::activation: require_function(op.attributes.function != Function::none); return x;
      case OpKind::add:
        if (!(other(1) == x)) fail(op.name, "adds " + tvn::to_string(x) + " and " + tvn::to_string(other(1)));
        return x;
      case OpKind::mean: return {1, op.attributes.extent == Extent::clip ? 1 : x.t, 1, 1, x.c};
      case OpKind::gate:
        if (!(other(1) == Shape{1, 1, 1, 1, x.c}))
          fail(op.name, "gate is " + tvn::to_string(other(1)) + ", expected 1×1×1×" + std::to_string(x.c));
        return x;
      case OpKind::attention: {
        const Shape phi = other(1), g = other(2);
        if (!(phi == g) || phi.c != x.c)
          fail(op.name, "theta " + tvn::to_string(x) + ", phi " + tvn::to_string(phi) + " and g " + tvn::to_string(g) + " do not fit");
        return x;
      }
      case OpKind::dense: {
        if (x.h != 1 || x.w != 1) fail(op.name, "reads " + tvn::to_string(x) + ", expected a mean over height and width");
        const int64_t classes = parameter(op, node, 0, {x.c, 0});
        parameter(op, node, 1, {classes});
        return {1, x.t, 1, 1, classes};
      }
      case OpKind::temporal_softmax:
        if (x.h != 1 || x.w != 1) fail(op.name, "reads " + tvn::to_string(x) + ", expected T×1×1×K");
        return {1, 1, 1, 1, x.c};
    }
    fail(op.name, "unknown op");
  }

  const Graph& graph_;
  Program program_;
  std::map<std::string, int> tensors_, parameters_;
  std::set<std::string> names_;
};

}  // namespace

std::string to_string(const Shape& s) {
  return std::to_string(s.t) + "×" + std::to_string(s.h) + "×" + std::to_string(s.w) + "×" + std::to_string(s.c);
}

Program check(const Graph& graph) { return Checker(graph).run(); }

int64_t multiply_accumulates(const Program& program, const Node& node) {
  const Shape& x = program.shape(node.inputs[0]);
  const Shape& y = program.shape(node.output);
  switch (node.kind) {
    case OpKind::conv: return y.size() * (node.window.taps() * x.c + (node.has(3) ? program.shape(node.inputs[3]).c : 0));
    case OpKind::depthwise: return y.size() * node.window.taps();
    case OpKind::dense: return y.size() * x.c;
    case OpKind::attention: return 2 * x.size() * program.shape(node.inputs[1]).rows();
    default: return 0;
  }
}

}  // namespace tvn
