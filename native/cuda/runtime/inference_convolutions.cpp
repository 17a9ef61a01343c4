#include "cuda/runtime/inference_convolutions.h"

#include "cuda/kernels/block.h"
#include "cuda/kernels/stem.h"
#include "cuda/kernels/window.h"

namespace tvn::cuda {
namespace {

struct NamedBlock {
  ConvBlock block;
  const char* name;
};
/** The usual one first. */
constexpr NamedBlock blocks[conv_block_count] = {{ConvBlock::rows64_columns64, "64 × 64"},
                                                 {ConvBlock::rows128_columns64, "128 × 64"},
                                                 {ConvBlock::rows32_columns64, "32 × 64"},
                                                 {ConvBlock::rows64_columns32, "64 × 32"}};

/** A gate's last layer with more inputs than this is a kernel of its own: all tiles would read too many weights again. */
constexpr int most_gate_inputs = 512;
/** Where tiles do not cross clips, so much of them may be empty. */
constexpr double most_waste = 1.5;

/** Whether tiles of 64 rows that do not cross clips are full enough. */
bool fits_clips(const Extents& y, int frames = 1) {
  const int rows = 64 / frames * frames;
  return y.n == 1 || ceil_div(y.positions(), rows) * 64 <= most_waste * y.positions();
}

bool is_pointwise(const Node& node) {
  return node.kind == OpKind::conv && is_one(node.attributes.kernel) && is_one(node.attributes.stride);
}
bool is_plain(const Node& node) { return node.inputs.size() == 1; }
bool spans_frames_only(const tvn::Window& k) { return k.kt == 1 && k.st == 1; }
bool spans_time_only(const tvn::Window& k) { return k.kh == 1 && k.kw == 1 && k.sh == 1 && k.sw == 1; }

}  // namespace

void InferenceConvolutions::lower(const Node& conv) {
  if (!lower_block(conv) && !lower_window(conv)) lower_plain(conv);
}

const Node* InferenceConvolutions::mean_over_clip(int tensor) const {
  for (const Node& node : builder_.nodes())
    if (node.kind == OpKind::mean && node.inputs[0] == tensor &&
        (node.attributes.extent == Extent::clip || builder_.extents(tensor).t == 1))
      return &node;
  return nullptr;
}

int InferenceConvolutions::take_mean(int tensor, std::vector<int>& nodes, std::vector<int>& writes) {
  const Node* const mean = mean_over_clip(tensor);
  if (!mean) return -1;
  builder_.take(*mean, nodes);
  writes.push_back(mean->output);
  return mean->output;
}

const Node* InferenceConvolutions::pool_over_time(const Node& conv) const {
  const Node* const pool = builder_.only_reader(conv.output);
  const Extents y = builder_.extents(conv.output);
  const bool fits =
      pool && pool->kind == OpKind::pool && spans_time_only(pool->window) && is_plain(conv) && y.t <= 64 && fits_clips(y, y.t);
  return fits ? pool : nullptr;
}

InferenceConvolutions::Scaling InferenceConvolutions::scaling(const Node& node, bool may_gate, std::vector<int>& nodes,
                                                              std::vector<int>& reads) {
  Scaling s;
  s.scale = node.has(2) ? node.inputs[2] : -1;
  std::optional<InferenceVectors::Gate> gate;
  if (s.scale >= 0 && may_gate) gate = vectors_.take_gate(s.scale, most_gate_inputs);
  if (!gate) {
    vectors_.need({s.scale});
    if (s.scale >= 0) reads.push_back(s.scale);
    return s;
  }
  nodes.insert(nodes.begin(), gate->nodes.begin(), gate->nodes.end());
  for (const int tensor : {gate->x, gate->multiply})
    if (tensor >= 0) reads.push_back(tensor);
  return {-1, gate->x, gate->multiply, gate->w, gate->bias, gate->inputs};
}

bool InferenceConvolutions::lower_stem(const Node& normalize) {
  const Node* const reader = builder_.only_reader(normalize.output);
  if (!reader || !is_pointwise(*reader) || !is_plain(*reader) || mean_over_clip(reader->output)) return false;
  const Node& conv = *reader;
  std::vector<int> nodes{builder_.index(normalize)};
  builder_.take(conv, nodes);
  const int x = normalize.inputs[0], y = conv.output;
  const Extents e = builder_.extents(y);
  const int64_t w = builder_.halves(conv, 0), bias = builder_.floats(conv, 1);
  Step& step = builder_.add_step("stem", std::move(nodes), {x}, {y});
  step.launch = [=, function = conv.attributes.function](const Binding& b, size_t, cudaStream_t stream) {
    stem_forward({e.rows(), e.c, b.bytes(x), b.weight<half>(w), b.weight<float>(bias), function, b.halves(y)}, stream);
  };
  return true;
}

bool InferenceConvolutions::lower_window(const Node& node) {
  const Node* const next = builder_.only_reader(node.output);
  if (!is_pointwise(node) || node.has(1) || node.has(3) || !next || (next->kind != OpKind::depthwise && next->kind != OpKind::pool) ||
      !spans_frames_only(next->window))
    return false;
  const WindowShape shape{builder_.extents(node.inputs[0]), builder_.extents(next->output), window_of(next->window)};
  if (!window_fits(shape) || !window_pays(shape)) return false;
  std::vector<int> nodes{builder_.index(node)}, reads{node.inputs[0]}, writes{next->output};
  const Scaling scale = scaling(node, true, nodes, reads);
  builder_.take(*next, nodes);
  const int mean = take_mean(next->output, nodes, writes);
  WindowArgs args{};
  args.function = node.attributes.function;
  args.kind = next->kind == OpKind::depthwise            ? WindowKind::depthwise
              : next->attributes.pooling == Pooling::max ? WindowKind::max
                                                         : WindowKind::avg;
  args.filter_function = next->kind == OpKind::depthwise ? next->attributes.function : Function::none;
  const bool filters = next->kind == OpKind::depthwise;
  const int64_t w = builder_.halves(node, 0), bias = builder_.floats(node, 1), filter = filters ? builder_.halves(*next, 0) : -1,
                filter_bias = filters ? builder_.floats(*next, 1) : -1;
  Step& step = builder_.add_step("window_gemm", std::move(nodes), std::move(reads), std::move(writes));
  step.bytes += int64_t{2} * shape.x.c * shape.y.c;
  step.scratch.cover(window_workspace(shape, mean >= 0));
  step.launch = [=, x = node.inputs[0], y = next->output](const Binding& b, size_t, cudaStream_t stream) {
    WindowArgs a = args;
    a.x = b.halves(x);
    a.w = b.weight<half>(w);
    a.bias = b.weight<float>(bias);
    a.scale = b.floats(scale.scale);
    a.gate = scale.bind(b);
    a.filter = b.weight<half>(filter);
    a.filter_bias = b.weight<float>(filter_bias);
    a.y = b.halves(y);
    a.mean = b.floats(mean);
    a.workspace = b.workspace();
    window_forward(shape, a, stream);
  };
  return true;
}

bool InferenceConvolutions::lower_block(const Node& node) {
  if (!spans_frames_only(node.window) || node.has(1) || node.has(3)) return false;
  const Node* next = builder_.only_reader(node.output);
  const Node* time = nullptr;
  if (next && is_plain(*next) && (next->kind == OpKind::conv || next->kind == OpKind::pool) && spans_time_only(next->window) &&
      !is_pointwise(*next)) {
    time = next;
    next = builder_.only_reader(time->output);
  }
  const Node* const expand = next && is_plain(*next) && is_pointwise(*next) ? next : nullptr;
  const Node& last = expand ? *expand : time ? *time : node;
  const bool depthwise = node.kind == OpKind::depthwise, pools = time && time->kind == OpKind::pool;
  // a pool alone is a dense convolution's epilogue; a depthwise convolution alone is worth it for its mean
  if (!expand && (depthwise ? !time && !mean_over_clip(node.output) : !time || pools)) return false;

  BlockShape shape{};
  shape.x = builder_.extents(node.inputs[0]);
  shape.spatial = window_of(node.window);
  shape.depthwise = depthwise;
  shape.s = builder_.extents(node.output);
  const Extents after = builder_.extents(time ? time->output : node.output);
  shape.temporal = !time                                      ? TemporalKind::none
                   : !pools                                   ? TemporalKind::conv
                   : time->attributes.pooling == Pooling::max ? TemporalKind::max
                                                              : TemporalKind::avg;
  shape.kernel = time ? time->window.kt : 1;
  shape.stride = time ? time->window.st : 1;
  shape.pad = time ? static_cast<int>(time->window.pt) : 0;
  shape.frames = after.t;
  shape.channels = after.c;
  shape.expands = expand != nullptr;
  shape.y = builder_.extents(last.output);
  if (!block_fits(shape) || !block_pays(shape)) return false;

  std::vector<int> nodes{builder_.index(node)}, reads{node.inputs[0]}, writes{last.output};
  const Scaling scale = scaling(node, true, nodes, reads);
  if (time) builder_.take(*time, nodes);
  if (expand) builder_.take(*expand, nodes);
  const int mean = take_mean(last.output, nodes, writes);
  struct StageWeights {
    int64_t w = -1, bias = -1;
    Function function = Function::none;
    BlockStage bind(const Binding& b) const { return {b.weight<half>(w), b.weight<float>(bias), function}; }
  };
  const auto weights = [&](const Node* of) {
    return of && of->kind != OpKind::pool ? StageWeights{builder_.halves(*of, 0), builder_.floats(*of, 1), of->attributes.function}
                                          : StageWeights{};
  };
  const StageWeights spatial = weights(&node), temporal = weights(time), pointwise = weights(expand);
  Step& step = builder_.add_step("block_gemm", std::move(nodes), std::move(reads), std::move(writes));
  step.bytes += int64_t{2} * (taps(shape.spatial) * (depthwise ? 1 : shape.x.c) * shape.s.c +
                              (shape.temporal == TemporalKind::conv ? shape.kernel * shape.s.c * shape.channels : 0) +
                              (expand ? shape.channels * shape.y.c : 0));
  step.scratch.cover(block_workspace(shape, mean >= 0));
  step.launch = [=, x = node.inputs[0], y = last.output](const Binding& b, size_t, cudaStream_t stream) {
    BlockArgs a{};
    a.x = b.halves(x);
    a.spatial = spatial.bind(b);
    a.temporal = temporal.bind(b);
    a.expand = pointwise.bind(b);
    a.scale = b.floats(scale.scale);
    a.gate = scale.bind(b);
    a.y = b.halves(y);
    a.mean = b.floats(mean);
    a.workspace = b.workspace();
    block_forward(shape, a, stream);
  };
  return true;
}

void InferenceConvolutions::lower_plain(const Node& node) {
  const ConvShape shape{builder_.extents(node.inputs[0]), builder_.extents(node.output), window_of(node.window)};
  const auto input = [&](size_t slot) { return node.has(slot) ? node.inputs[slot] : -1; };
  const int x = node.inputs[0], residual = input(1), x2 = input(3);
  int y = node.output;
  std::vector<int> nodes{builder_.index(node)}, reads{x}, writes;

  ConvForwardArgs args{};
  ConvUse use{};
  args.function = node.attributes.function;
  const Scaling scale = scaling(node, fits_clips(shape.y), nodes, reads);
  use.gate = scale.gates();
  for (const int tensor : {residual, x2})
    if (tensor >= 0) reads.push_back(tensor);
  const int64_t w = builder_.halves(node, 0), bias = builder_.floats(node, 1), w2 = builder_.halves(node, 2),
                bias2 = builder_.floats(node, 3);
  if (x2 >= 0) {
    const Int3& s = node.attributes.shortcut_stride;
    args.shortcut.extents = builder_.extents(x2);
    args.shortcut.stride[0] = s.t, args.shortcut.stride[1] = s.h, args.shortcut.stride[2] = s.w;
    use.shortcut = true;
    use.shortcut_channels = args.shortcut.extents.c;
  }
  if (const Node* const pool = pool_over_time(node)) {
    const tvn::Window& k = pool->window;
    args.pooling = {pool->attributes.pooling, k.kt, k.st, static_cast<int>(k.pt), builder_.extents(pool->output).t};
    use.pooled_frames = args.pooling.frames;
    y = pool->output;
    builder_.take(*pool, nodes);
  }
  const int mean = fits_clips(shape.y, use.pooled_frames > 0 ? shape.y.t : 1) ? take_mean(y, nodes, writes) : -1;
  use.mean = mean >= 0;
  writes.push_back(y);

  Step& step = builder_.add_step("conv_gemm", std::move(nodes), std::move(reads), std::move(writes));
  step.bytes += int64_t{2} * taps(shape.window) * shape.x.c * shape.y.c;
  step.scratch.cover(conv_forward_workspace(shape, use));
  step.key =
      "conv " + describe(shape.x) + " → " + describe(shape.y) + ", " + describe(shape.window) + (use.shortcut ? " and a shortcut" : "");
  step.ways.clear();
  std::vector<ConvBlock> ways;
  for (const NamedBlock& block : blocks) {
    if (!takes_block(block.block, use)) continue;
    step.ways.emplace_back(block.name);
    ways.push_back(block.block);
  }
  if (ways.size() < conv_block_count) step.key += ", clip by clip";
  step.launch = [=](const Binding& b, size_t way, cudaStream_t stream) {
    ConvForwardArgs a = args;
    a.x = b.halves(x);
    a.w = b.weight<half>(w);
    a.bias = b.weight<float>(bias);
    a.scale = b.floats(scale.scale);
    a.gate = scale.bind(b);
    if (residual >= 0) a.residual = b.halves(residual);
    if (x2 >= 0) {
      a.shortcut.x = b.halves(x2);
      a.shortcut.w = b.weight<half>(w2);
      a.shortcut.bias = b.weight<float>(bias2);
    }
    a.y = b.halves(y);
    a.mean = b.floats(mean);
    a.workspace = b.workspace();
    conv_forward(shape, ways[way], a, stream);
  };
  cudnn_.offer(step, node, shape, bias);
}

}  // namespace tvn::cuda
