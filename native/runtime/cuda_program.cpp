#include "runtime/cuda_program.h"

#include <algorithm>
#include <iterator>

namespace tvn {
namespace {

/** Indices, −1 behind the last. */
template <size_t N>
void copy_indices(const std::vector<int>& from, int32_t (&to)[N]) {
  std::fill(std::begin(to), std::end(to), -1);
  std::copy(from.begin(), from.end(), std::begin(to));  // a row of the op table has at most N
}

TvnCudaNode convert(const Node& node) {
  const Attributes& a = node.attributes;
  const Window& w = node.window;
  TvnCudaNode to{};
  to.name = node.name.c_str();
  to.kind = static_cast<int32_t>(node.kind);
  copy_indices(node.inputs, to.inputs);
  to.output = node.output;
  copy_indices(node.parameters, to.parameters);
  const auto set = [](int32_t(&axes)[3], int64_t t, int64_t h, int64_t w_) {
    axes[0] = static_cast<int32_t>(t), axes[1] = static_cast<int32_t>(h), axes[2] = static_cast<int32_t>(w_);
  };
  set(to.kernel, w.kt, w.kh, w.kw);
  set(to.stride, w.st, w.sh, w.sw);
  set(to.pad, w.pt, w.ph, w.pw);
  set(to.shortcut_stride, a.shortcut_stride.t, a.shortcut_stride.h, a.shortcut_stride.w);
  to.padding = static_cast<int32_t>(a.padding);
  to.pooling = static_cast<int32_t>(a.pooling);
  to.function = static_cast<int32_t>(a.function);
  to.extent = static_cast<int32_t>(a.extent);
  to.rate = a.rate;
  return to;
}

/** Whether no row of the op table has more than `most` names in that column. */
constexpr bool rows_fit(std::string_view OpRow::*column, size_t most) {
  for (const OpRow& row : op_table) {
    size_t names = (row.*column).empty() ? 0 : 1;
    for (const char c : row.*column) names += c == ' ';
    if (names > most) return false;
  }
  return true;
}
static_assert(rows_fit(&OpRow::inputs, std::size(TvnCudaNode{}.inputs)), "an op has more inputs than the table of the CUDA backend");
static_assert(rows_fit(&OpRow::parameters, std::size(TvnCudaNode{}.parameters)), "an op has more parameters than that table");

}  // namespace

CudaProgram::CudaProgram(const Program& program, const ParameterValues& values) {
  for (const TensorInfo& tensor : program.tensors) tensors_.push_back({tensor.shape.t, tensor.shape.h, tensor.shape.w, tensor.shape.c});
  for (const ParameterInfo& parameter : program.parameters) {
    TvnCudaParameter to{};
    to.name = parameter.name.c_str();
    to.rank = static_cast<int32_t>(parameter.extents.size());  // at most 5, that of a convolution's weight
    std::copy(parameter.extents.begin(), parameter.extents.end(), to.extents);
    to.trainable = parameter.trainable;
    to.values = values.at(parameter.name).data();
    parameters_.push_back(to);
  }
  std::transform(program.nodes.begin(), program.nodes.end(), std::back_inserter(nodes_), convert);
  const auto count = [](const auto& list) { return static_cast<int32_t>(list.size()); };
  table_ = {count(tensors_), count(parameters_), count(nodes_),      program.input,
            program.output,  tensors_.data(),    parameters_.data(), nodes_.data()};
}

}  // namespace tvn
