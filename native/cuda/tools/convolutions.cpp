#include "cuda/tools/convolutions.h"

#include <algorithm>
#include <map>

#include "cuda/runtime/cudnn_conv.h"
#include "cuda/runtime/device.h"
#include "cuda/runtime/inference_builder.h"
#include "cuda/test/drive_stand_in.h"

namespace tvn::cuda::tools {
namespace {

/** Of the convolutions that are timed together. */
constexpr double timed_ms = 4;

DeviceBuffer filled(size_t bytes) {
  DeviceBuffer buffer(bytes);
  check(cudaMemset(buffer.at<void>(), 0x2c, bytes), "filling GPU memory");  // as for cuDNN
  return buffer;
}

/** A convolution's memory, and its time with each tile. */
class Ours {
 public:
  explicit Ours(const ConvShape& shape)
      : shape_(shape),
        x_(filled(shape.x.size() * sizeof(half))),
        w_(filled(static_cast<size_t>(taps(shape.window)) * static_cast<size_t>(shape.x.c) * static_cast<size_t>(shape.y.c) *
                  sizeof(half))),
        y_(filled(shape.y.size() * sizeof(half))) {
    const ConvWorkspaceSize workspace = conv_forward_workspace(shape, {});
    parts_ = DeviceBuffer(workspace.parts);
    counters_ = DeviceBuffer(static_cast<size_t>(workspace.counters) * sizeof(int));
    if (counters_.bytes() > 0) check(cudaMemset(counters_.at<void>(), 0, counters_.bytes()), "clearing memory");
    finish_uploads();
  }

  double ms(int runs) const {
    double best = ms(ConvBlock{}, runs);
    for (int block = 1; block < conv_block_count; block++) best = std::min(best, ms(static_cast<ConvBlock>(block), runs));
    return best;
  }
  double ms(ConvBlock block, int runs) const {
    const Graph graph(stream_, [&] {
      for (int i = 0; i < runs; i++) {
        ConvForwardArgs args{x_.at<half>(), w_.at<half>()};
        args.y = y_.at<half>();
        args.workspace = {counters_.at<int>(), parts_.at<float>()};
        conv_forward(shape_, block, args, stream_);
        check_launch("conv_forward");
      }
    });
    return fastest_ms(graph, stream_) / runs;
  }

 private:
  ConvShape shape_;
  Stream stream_;
  DeviceBuffer x_, w_, y_, parts_, counters_;
};

}  // namespace

std::vector<Convolution> distinct_convolutions(const Program& program, int64_t batch) {
  require_size(program, batch);
  std::vector<Convolution> list;
  std::map<std::string, size_t> places;
  for (const Node& node : program.nodes) {
    if (node.kind != OpKind::conv) continue;
    const ConvShape shape{extents_of(program, node.inputs[0], batch), extents_of(program, node.output, batch), window_of(node.window)};
    if (shape.x.positions() == 1) continue;
    const Window& k = shape.window;
    const std::string key = describe(shape.x) + describe(shape.y) + describe(k) + std::to_string(k.pt) + "," + std::to_string(k.ph) + "," +
                            std::to_string(k.pw);
    const auto [place, is_new] = places.emplace(key, list.size());
    if (is_new) list.push_back({node.name, 0, multiply_accumulates(program, node) * batch, shape});
    list[place->second].count++;
  }
  return list;
}

std::string cudnn_absence() {
  const CudnnSearch& search = cudnn_for_benchmarks();
  if (search.found) test::drive_stand_in(search.found->path);
  return search.refusal;
}

ConvolutionTimes time_convolution(const ConvShape& shape, int most_runs) {
  const Ours ours(shape);
  const double once = ours.ms(ConvBlock{}, 1);
  ConvolutionTimes times{std::clamp(static_cast<int>(timed_ms / std::max(once, 1e-3)), 1, std::max(1, most_runs)), 0, {}, {}};
  times.ours = ours.ms(times.runs);
  times.cudnn = cudnn_conv_ms(shape, times.runs, Stream(), &times.refusal);
  return times;
}

}  // namespace tvn::cuda::tools
