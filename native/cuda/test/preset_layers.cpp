#include "cuda/test/preset_layers.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <set>

#include "core/error.h"
#include "cuda/runtime/program.h"
#include "test/networks/read_networks.h"

namespace tvn::cuda::test {
namespace {

Graph read_preset(const std::string& name) {
  const char* folder = std::getenv("TVN_CUDA_NETWORKS");
  const std::string path = std::string(folder ? folder : TVN_NETWORKS) + "/" + name + ".txt";
  std::ifstream in(path);
  auto networks = tvn::test::read_networks(in);
  if (networks.size() != 1) throw Error("ERR_FILE", "there is no network in " + path);
  return std::move(networks[0].graph);
}

bool wants_caps() {
  const char* wanted = std::getenv("TVN_PRESET_LAYERS");
#ifdef TVN_EMULATION
  return !wanted || std::strcmp(wanted, "full") != 0;
#else
  return wanted && std::strcmp(wanted, "capped") == 0;
#endif
}

/** Multiply-accumulates of tiles of 64 rows, full or not; or elements. */
double work(const PresetLayer& l, bool multiplies) {
  if (multiplies) return 64.0 * ceil_div(l.y.rows(), 64) * taps(l.window) * l.channels * l.outputs;
  return std::max(static_cast<double>(l.x.size()), static_cast<double>(l.y.size()));
}

/** y and the padding, as SAME has them. */
void set_outputs(PresetLayer& l) {
  Window& k = l.window;
  const WindowAxis t = same_axis(l.x.t, k.kt, k.st), h = same_axis(l.x.h, k.kh, k.sh), w = same_axis(l.x.w, k.kw, k.sw);
  k.pt = static_cast<int>(t.pad_front), k.ph = static_cast<int>(h.pad_front), k.pw = static_cast<int>(w.pad_front);
  l.x.c = stored_channels(l.channels);
  l.y = {l.x.n, static_cast<int>(t.out), static_cast<int>(h.out), static_cast<int>(w.out), stored_channels(l.outputs)};
}

void cap(PresetLayer& l, const Caps& caps, bool multiplies) {
  const Window& k = l.window;
  const int least_h = std::max(caps.least_extent, k.kh + 2 * k.sh), least_w = std::max(caps.least_extent, k.kw + 2 * k.sw);
  while (work(l, multiplies) > caps.work && l.x.h - k.sh >= least_h && l.x.w - k.sw >= least_w) {
    l.x.h -= k.sh, l.x.w -= k.sw;
    l.capped = true;
    set_outputs(l);
  }
  const bool same = l.channels == l.outputs;  // stay so
  while (work(l, multiplies) > caps.work && std::max(l.channels, l.outputs) - 64 >= caps.least_channels) {
    const bool inputs = l.channels >= l.outputs;
    if (same || inputs) l.channels -= 64;
    if (same || !inputs) l.outputs -= 64;
    l.capped = true;
    set_outputs(l);
  }
}

}  // namespace

std::string PresetLayer::describe() const {
  const auto list = [](std::initializer_list<int> values) {
    std::string text;
    for (const int value : values) text += (text.empty() ? "" : "×") + std::to_string(value);
    return text;
  };
  const Window& k = window;
  return name + ": " + list({x.n, x.t, x.h, x.w, channels}) + " → " + list({y.t, y.h, y.w, outputs}) + ", kernel " +
         list({k.kt, k.kh, k.kw}) + ", stride " + list({k.st, k.sh, k.sw}) + (capped ? ", smaller than in the network" : "");
}

std::vector<PresetLayer> preset_layers(std::initializer_list<OpKind> kinds, const Caps& caps) {
  std::vector<PresetLayer> layers;
  std::set<std::vector<int>> seen;
  int capped = 0;
  for (const char* network : {"tvn-1", "tvn-2", "tvn-3", "tvn-4"}) {
    const Program program = tvn::check(read_preset(network));
    for (const Node& node : program.nodes) {
      if (std::find(kinds.begin(), kinds.end(), node.kind) == kinds.end()) continue;
      if (node.attributes.padding != Padding::same) throw Error("ERR_GRAPH_INVALID", node.name + ": no preset has VALID windows");
      PresetLayer l{std::string(network) + " " + node.name,
                    extents_of(program, node.inputs[0], 1),
                    extents_of(program, node.output, 1),
                    static_cast<int>(program.shape(node.inputs[0]).c),
                    static_cast<int>(program.shape(node.output).c),
                    window_of(node.window)};
      l.pooling = node.attributes.pooling;
      l.extent = node.attributes.extent;
      const Window& k = l.window;
      if (!seen.insert({l.x.t, l.x.h, l.x.w, l.channels, l.y.t, l.y.h, l.y.w, l.outputs, k.kt, k.kh, k.kw, k.st, k.sh, k.sw,
                        static_cast<int>(l.pooling), static_cast<int>(l.extent)})
               .second)
        continue;
      if (wants_caps()) cap(l, caps, node.kind == OpKind::conv || node.kind == OpKind::dense);
      capped += l.capped;
      layers.push_back(l);
    }
  }
  std::printf("  %zu distinct layers, %d of them smaller than in the network\n", layers.size(), capped);
  return layers;
}

std::vector<half> fill_rows(Random& random, size_t rows, int channels, int stored) {
  constexpr int bits = 12;  // of a value: all of them are halves
  static const std::vector<half> table = [] {
    std::vector<half> values;
    for (int i = 0; i < 1 << bits; i++) values.push_back(__float2half(static_cast<float>(i - (1 << (bits - 1))) / (1 << (bits - 1))));
    return values;
  }();
  std::vector<half> values(rows * static_cast<size_t>(stored), __float2half(0));
  uint64_t word = 0;
  int left = 0;
  for (size_t r = 0; r < rows; r++)
    for (int c = 0; c < channels; c++) {
      if (left == 0) word = random.bits(), left = 64 / bits;
      values[r * static_cast<size_t>(stored) + static_cast<size_t>(c)] = table[word & ((1 << bits) - 1)];
      word >>= bits, left--;
    }
  return values;
}

std::vector<size_t> samples(Random& random, size_t size, size_t most) {
  std::vector<size_t> indices;
  if (size <= most) {
    for (size_t i = 0; i < size; i++) indices.push_back(i);
    return indices;
  }
  indices = {0, size - 1};
  while (indices.size() < most) indices.push_back(random.bits() % size);
  return indices;
}

}  // namespace tvn::cuda::test
