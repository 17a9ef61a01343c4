#include "cuda/runtime/inference_cudnn.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "cuda/kernels/epilogue.h"

namespace tvn::cuda {
namespace {

/** All steps of a plan share one scratch. */
constexpr size_t most_workspace = size_t{256} << 20;

}  // namespace

std::shared_ptr<const CudnnConv> InferenceCudnn::find(const std::string& name, const ConvShape& shape) {
  const CudnnSearch& search = cudnn_for_plans();
  const std::optional<CudnnShape> planes = search.found && !refused_ ? cudnn_shape(shape) : std::nullopt;
  if (!planes) return nullptr;
  try {
    if (!handle_) handle_ = std::make_shared<const CudnnHandle>(*search.found);
    return std::make_shared<const CudnnConv>(handle_, *planes, CudnnChoice::expected, most_workspace);
  } catch (const CudnnError& error) {
    refused_ = !handle_;
    cudaGetLastError();  // of a call within cuDNN; one that broke the device comes again
    tell_cudnn_refusal(name, error);
    return nullptr;
  }
}

void InferenceCudnn::offer(Step& step, const Node& node, const ConvShape& shape, int64_t bias) {
  if (step.nodes.size() > 1 || node.has(2) || node.has(3)) return;  // something is fused into it, a scale or a shortcut
  const auto conv = find(step.key, shape);
  if (!conv) return;
  step.library_way = step.ways.size();
  step.ways.emplace_back("cuDNN");
  step.key += ", or cuDNN " + conv->library().version;
  step.scratch.bytes = std::max(step.scratch.bytes, conv->workspace());
  const int64_t filters = builder_.packed(
      node, 0, [&](const StoredParameter& stored, std::span<const float> values) { return cudnn_filters(conv->shape(), stored, values); });
  const int x = node.inputs[0], residual = node.has(1) ? node.inputs[1] : -1, y = node.output;
  const EpilogueArgs epilogue{shape.y.rows(), shape.y.c, builder_.channels(y), nullptr, nullptr, node.attributes.function, nullptr};
  step.launch = [=, own = std::move(step.launch), library_way = step.library_way](const Binding& b, size_t way, cudaStream_t stream) {
    if (way != library_way) return own(b, way, stream);
    conv->launch(b.halves(x), b.weight<half>(filters), b.halves(y), b.scratch, stream);
    EpilogueArgs args = epilogue;
    args.bias = b.weight<float>(bias);
    if (residual >= 0) args.residual = b.halves(residual);
    args.y = b.halves(y);
    epilogue_forward(args, stream);
  };
}

void tell_cudnn_refusal(const std::string& what, const CudnnError& error) {
  const char* const verbose = std::getenv("TVN_VERBOSE");
  if (verbose && std::strstr(verbose, "dispatch")) std::fprintf(stderr, "not by cuDNN: %s: %s\n", what.c_str(), error.what());
}

}  // namespace tvn::cuda
