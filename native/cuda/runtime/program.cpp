#include "cuda/runtime/program.h"

#include "core/error.h"

namespace tvn::cuda {
namespace {

/** Elements of a tensor. */
constexpr int64_t most = (int64_t{1} << 31) - 1;
/** Taps of a window, and phases of a stride, that kernels count in 16 bits. */
constexpr int64_t most_taps = 65535, most_phases = 4096;

[[noreturn]] void fail(const std::string& what) { throw Error("ERR_GRAPH_INVALID", what); }

int index(int32_t i, int32_t count, const char* what) {
  if (i < -1 || i >= count) fail(std::string(what) + " " + std::to_string(i) + " is not there");
  return i;
}

template <class E>
E enumerator(int32_t value, const char* what) {
  if (value < 0 || static_cast<size_t>(value) >= split_names(enum_names<E>()).size())
    fail(std::string(what) + " " + std::to_string(value) + " is unknown");
  return static_cast<E>(value);
}

Int3 triple(const int32_t (&values)[3], int least, const char* what) {
  for (const int32_t value : values)
    if (value < least || value > (1 << 20)) fail(std::string(what) + " " + std::to_string(value) + " is out of range");
  return {values[0], values[1], values[2]};
}

Node read_node(const TvnCudaNode& from, const TvnCudaProgram& program) {
  if (from.kind < 0 || static_cast<size_t>(from.kind) >= op_table.size()) fail("op " + std::to_string(from.kind) + " is unknown");
  Node node{
      static_cast<OpKind>(from.kind), from.name ? from.name : "", {}, index(from.output, program.tensors, "tensor"), {}, {}, {}, {}, {}};
  if (node.output < 0) fail(node.name + ": has no output");
  for (const int32_t input : from.inputs) node.inputs.push_back(index(input, program.tensors, "tensor"));
  while (!node.inputs.empty() && node.inputs.back() < 0) node.inputs.pop_back();
  if (node.inputs.empty() || node.inputs[0] < 0) fail(node.name + ": has no input");
  for (const int32_t parameter : from.parameters) node.parameters.push_back(index(parameter, program.parameters, "parameter"));
  Attributes& a = node.attributes;
  a.kernel = triple(from.kernel, 1, "kernel");
  a.stride = triple(from.stride, 1, "stride");
  a.shortcut_stride = triple(from.shortcut_stride, 1, "stride");
  a.padding = enumerator<Padding>(from.padding, "padding");
  a.pooling = enumerator<Pooling>(from.pooling, "pooling");
  a.function = enumerator<Function>(from.function, "function");
  a.extent = enumerator<Extent>(from.extent, "extent");
  a.rate = from.rate;
  const auto volume = [](const Int3& e) { return int64_t{e.t} * e.h * e.w; };
  if (volume(a.kernel) > most_taps || volume(a.stride) > most_phases)
    fail(node.name + ": the kernel or its stride is too large for the GPU");
  const Int3 pad = triple(from.pad, 0, "padding");
  node.window = {a.kernel.t, a.kernel.h, a.kernel.w, a.stride.t, a.stride.h, a.stride.w, pad.t, pad.h, pad.w};
  return node;
}

}  // namespace

Network read_program(const TvnCudaProgram& from, int64_t batch) {
  if (batch < 1 || batch > most) fail("batch " + std::to_string(batch) + " is out of range");
  Network network;
  Program& program = network.program;
  program.input = index(from.input, from.tensors, "tensor");
  program.output = index(from.output, from.tensors, "tensor");
  if (program.input < 0 || program.output < 0) fail("the network has no input or no output");
  for (int32_t i = 0; i < from.tensors; i++) {
    const TvnCudaTensor& t = from.tensor[i];
    for (const int64_t extent : {t.t, t.h, t.w, t.c})
      if (extent < 1 || extent > most) fail("an extent of a tensor is " + std::to_string(extent));
    program.tensors.push_back({"", {1, t.t, t.h, t.w, t.c}, -1, 0});
  }
  require_size(program, batch);
  for (int32_t i = 0; i < from.parameters; i++) {
    const TvnCudaParameter& p = from.parameter[i];
    ParameterInfo info{p.name ? p.name : "", {}, 1, p.trainable != 0};
    if (p.rank < 1 || p.rank > 5) fail(info.name + ": rank " + std::to_string(p.rank));
    for (int32_t k = 0; k < p.rank; k++) {
      if (p.extents[k] < 1 || p.extents[k] > most) fail(info.name + ": extent " + std::to_string(p.extents[k]));
      info.extents.push_back(p.extents[k]);
      info.size = info.size > most / p.extents[k] ? most + 1 : info.size * p.extents[k];
    }
    if (info.size > most) throw Error("ERR_MEMORY", info.name + " has 2^31 elements or more");
    network.values.emplace_back(p.values, static_cast<size_t>(info.size));
    program.parameters.push_back(std::move(info));
  }
  for (int32_t i = 0; i < from.nodes; i++) {
    Node node = read_node(from.node[i], from);
    program.tensors[static_cast<size_t>(node.output)].producer = i;
    for (const int input : node.inputs)
      if (input >= 0) program.tensors[static_cast<size_t>(input)].uses++;
    program.nodes.push_back(std::move(node));
  }
  return network;
}

void require_size(const Program& program, int64_t batch) {
  for (const TensorInfo& tensor : program.tensors) {
    const Shape& s = tensor.shape;
    int64_t size = batch;
    for (const int64_t extent : {s.t, s.h, s.w, (s.c + vector_width - 1) / vector_width * vector_width})
      size = size > most / extent ? most + 1 : size * extent;
    if (size > most)
      throw Error("ERR_MEMORY", "a tensor of " + tvn::to_string(s) + " in a batch of " + std::to_string(batch) +
                                    " has 2^31 elements or more, which is too large for the GPU's kernels");
  }
}

Extents extents_of(const Program& program, int tensor, int64_t batch) {
  const Shape& s = program.shape(tensor);
  return {static_cast<int>(batch), static_cast<int>(s.t), static_cast<int>(s.h), static_cast<int>(s.w),
          stored_channels(static_cast<int>(s.c))};
}

Window window_of(const tvn::Window& w) {
  return {w.kt, w.kh, w.kw, w.st, w.sh, w.sw, static_cast<int>(w.pt), static_cast<int>(w.ph), static_cast<int>(w.pw)};
}

StoredParameter stored_parameter(const ParameterInfo& parameter) {
  const auto& e = parameter.extents;
  const auto stored = [](int64_t n) { return static_cast<int64_t>(stored_channels(static_cast<int>(n))); };
  switch (e.size()) {
    case 5: return {e[0] * e[1] * e[2], e[3], e[4], stored(e[3]), stored(e[4])};  // conv
    case 3: return {1, e[0] * e[1], e[2], e[0] * e[1], stored(e[2])};             // depthwise
    case 2: return {1, e[0], e[1], stored(e[0]), stored(e[1])};                   // dense
    default: return {1, 1, parameter.size, 1, stored(parameter.size)};
  }
}

}  // namespace tvn::cuda
