#include "cuda/tools/subject.h"

#include <cmath>
#include <fstream>
#include <map>
#include <thread>

#include "core/error.h"
#include "runtime/layer.h"
#include "test/networks/read_networks.h"

namespace tvn::cuda::tools {
namespace {

/** splitmix64 */
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t bits() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  double uniform(double low, double high) { return low + (high - low) * static_cast<double>(bits() >> 11) * 0x1p-53; }

 private:
  uint64_t state_;
};

/**
 * Draws the parameters of one op from its input in a run of the network, as native/test/networks/random_parameters.h does in f64: weights
 * uniform with He's variance, biases in ±½, gamma in ½…1½, beta in ±½, and running statistics that the input might have.
 */
void draw_parameters(const Program& program, const Node& node, std::span<const float> x, Random& random, Parameters& parameters) {
  double square = 0;
  for (const float value : x) square += static_cast<double>(value) * static_cast<double>(value);
  square /= static_cast<double>(x.size());
  const auto draw = [&](size_t slot, double spread, double center = 0) {
    if (slot >= node.parameters.size() || node.parameters[slot] < 0) return;
    const ParameterInfo& info = program.parameters[static_cast<size_t>(node.parameters[slot])];
    for (float& value : parameters[info.name]) value = static_cast<float>(random.uniform(center - spread, center + spread));
  };
  if (node.kind == OpKind::batch_norm) {
    draw(0, 0.5, 1);
    draw(1, 0.5);
    draw(2, std::sqrt(square) / 3);
    draw(3, square / 2, square);
  } else if (!node.parameters.empty()) {
    const ParameterInfo& weight = program.parameters[static_cast<size_t>(node.parameters[0])];
    draw(0, std::sqrt(6.0 * static_cast<double>(weight.extents.back()) / static_cast<double>(weight.size)));
    draw(1, 0.5);
  }
}

/** Runs the network op by op on the CPU. */
void draw_parameters(Subject& subject) {
  const Program program = check(subject.graph);
  const std::vector<uint8_t> clip = subject.clips(1);
  Random random(subject.seed);
  ThreadPool pool(cpu_threads());
  std::map<int, std::vector<float>> tensors;
  std::vector<size_t> last(program.tensors.size());
  for (size_t i = 0; i < program.nodes.size(); i++)
    for (const int x : program.nodes[i].inputs) last[static_cast<size_t>(x)] = i;
  for (size_t i = 0; i < program.nodes.size(); i++) {
    const Node& node = program.nodes[i];
    if (node.inputs[0] != program.input) draw_parameters(program, node, tensors[node.inputs[0]], random, subject.parameters);
    const auto layer = make_layer(program, node, {1, Purpose::inference, allowed_isa(), cpu_threads()});
    std::vector<float> scratch(layer->scratch()), &y = tensors[node.output];
    y.resize(static_cast<size_t>(program.shape(node.output).size()));
    Operands at;
    for (const int x : node.inputs) at.x.push_back(x == program.input ? reinterpret_cast<const float*>(clip.data()) : tensors[x].data());
    for (const int p : node.parameters)
      at.parameters.push_back(p < 0 ? nullptr : subject.parameters[program.parameters[static_cast<size_t>(p)].name].data());
    at.scratch = scratch.data();
    at.y = y.data();
    layer->pack(at, pool);
    for (size_t slot = 0; slot < at.parameters.size(); slot++)
      if (layer->packs(slot)) at.parameters[slot] = nullptr;
    layer->forward(at, {pool, 0});
    std::erase_if(tensors, [&](const auto& tensor) { return tensor.first != node.output && last[static_cast<size_t>(tensor.first)] == i; });
  }
}

test::NamedGraph read_file(const std::string& network) {
  const std::string path = network.find('/') == std::string::npos ? std::string(TVN_NETWORKS) + "/" + network + ".txt" : network;
  std::ifstream in(path);
  if (!in) throw Error("ERR_FILE", "there is no network in " + path);
  std::vector<test::NamedGraph> networks = test::read_networks(in);
  if (networks.size() != 1) throw Error("ERR_FILE", "one network was expected in " + path);
  return std::move(networks[0]);
}

}  // namespace

int cpu_threads() { return std::max(1, static_cast<int>(std::thread::hardware_concurrency())); }

ParameterValues Subject::values() const {
  ParameterValues values;
  for (const auto& [parameter, value] : parameters) values.borrow(parameter, value);
  return values;
}

std::vector<uint8_t> Subject::clips(int64_t batch) const {
  Random random(seed + 1);
  std::vector<uint8_t> clips(static_cast<size_t>(batch * graph.input_shape.size()));
  for (uint8_t& byte : clips) byte = static_cast<uint8_t>(random.bits());
  return clips;
}

std::vector<int32_t> Subject::labels(int64_t batch) const {
  const Program program = check(graph);
  Random random(seed + 2);
  std::vector<int32_t> labels(static_cast<size_t>(batch));
  for (int32_t& label : labels) label = static_cast<int32_t>(random.bits() % static_cast<uint64_t>(program.shape(program.output).c));
  return labels;
}

Subject read_subject(const std::string& network, int64_t size, Weights weights) {
  test::NamedGraph from = read_file(network);
  Subject subject{from.name, from.seed, std::move(from.graph), {}, 0, 0};
  const auto count = [&] {
    subject.macs = subject.trainable = 0;
    const Program program = check(subject.graph);
    for (const Node& node : program.nodes) subject.macs += multiply_accumulates(program, node);
    for (const ParameterInfo& parameter : program.parameters) subject.trainable += parameter.trainable ? parameter.size : 0;
  };
  count();
  if (from.macs > 0 && (subject.macs != from.macs || subject.trainable != from.trainable))
    throw Error("ERR_FILE", from.name + " has " + std::to_string(subject.macs) + " multiply-accumulates and " +
                                std::to_string(subject.trainable) + " parameters, its file says " + std::to_string(from.macs) + " and " +
                                std::to_string(from.trainable));
  if (size > 0) {
    subject.graph.input_shape.h = subject.graph.input_shape.w = size;
    count();
  }
  for (const ParameterInfo& parameter : check(subject.graph).parameters)
    subject.parameters[parameter.name].resize(static_cast<size_t>(parameter.size));
  if (weights == Weights::random) draw_parameters(subject);
  return subject;
}

}  // namespace tvn::cuda::tools
