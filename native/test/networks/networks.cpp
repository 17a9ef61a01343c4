// tvn_networks: whole networks against the f64 interpreter. Reads networks (read_networks.h) from the standard input and makes a test of
// each; scripts/random-networks.mjs writes them. Ends with a table of the largest errors.
//
// A network is run with every set of passes that `runs` names, on three clips, with guards around every tensor and around
// the scratch:
// - The first clip's tensors are held against the interpreter's op by op, wherever the unfused graph has that tensor too, and go on with
// the
//   interpreter's values: so an error is that of one op, and seen where it arises.
// - The other clips go on with what was computed. The logits of the second one are held against the interpreter's.
// - A Plan with the same passes has the same bits, one clip at a time on one thread, and with all passes so have Plans with small bands and
// with steps cut in other ways: neither batch, threads, cuts nor the plan of memory matter.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <limits>
#include <random>
#include <optional>
#include <set>

#include "kernels/conv/conv.h"
#include "runtime/cpu_plan.h"
#include "test/networks/interpreter.h"
#include "test/networks/random_parameters.h"
#include "test/networks/read_networks.h"
#include "test/run_graph.h"
#include "test/tolerance.h"

namespace tvn::test {
namespace {

constexpr int64_t batch = 3;
/** Values of a clip from which a second thread is worth its waiting for the interpreter. */
constexpr int64_t large_clip = 50'000;
/** Of one of its values. */
int64_t terms(const Program& program, const Node& node) {
  const int64_t values = std::max<int64_t>(program.shape(node.output).size(), 1);
  return node.kind == OpKind::mean ? program.shape(node.inputs[0]).size() / values : multiply_accumulates(program, node) / values;
}
/**
 * Of one op, relative to its tensor's largest value, with `inherited` terms of ops whose rounding errors came with its inputs; where there
 * are more than 512 terms, rounding errors add up like a random walk.
 */
double op_tolerance(const Program& program, const Node& node, int64_t inherited) {
  return 1e-5 * std::sqrt(std::max(1.0, static_cast<double>(terms(program, node) + inherited) / 512));
}
/** Of the logits of a whole network, relative to the largest one. */
constexpr double logits_tolerance = 1e-4;
/** A network may magnify rounding errors beyond that: then by so many times as much as the plainest kernels, nothing fused, have it. */
constexpr double plain_factor = 4;
/** But few do, and none of which f32 has less than two digits. */
constexpr double most_sensitive = 0.02, plain_tolerance = 1e-2;

/** A network with its passes, kernels and name in the table. */
struct NetworkRun {
  std::string name;
  PassSet passes, without = {};  // an earlier run's passes: whether these do more is counted
  Isa isa = allowed_isa();
  bool direct = false;
  bool plans = true;  // makes a Plan as well
  int threads = 1;    // two wait for each other at every op, which takes its time on a busy machine
};

/** What a pass needs before it to find its pattern: convolutions without a norm behind them, gates that no mean holds back. */
PassSet needs(size_t pass) {
  constexpr size_t fold_batch_norms = 0, move_means = 1, compose_convolutions = 2, fuse_gates = 3, fuse_activations = 4;
  PassSet passes;
  if (pass != fold_batch_norms && pass != fuse_activations) passes.set(fold_batch_norms);
  if (pass == compose_convolutions || pass == fuse_gates) passes.set(move_means);
  return passes;
}

/** Nothing, each pass alone with what it needs, some of them by lot, all; all by other kernels, the slow ones for one network in four. */
std::vector<NetworkRun> runs(uint64_t seed, Random& random) {
  std::vector<NetworkRun> list = {{"nothing", {}}};
  for (size_t pass = 0; pass < inference_pass_count; pass++)
    list.push_back({std::string(inference_passes()[pass].name), needs(pass).set(pass), needs(pass), allowed_isa(), false, false});
  list.push_back({"some, by lot", PassSet(random.bits())});
  list.push_back({"all", all_passes, {}, allowed_isa(), false, true, 2});
  list.push_back({"all, direct convolution", all_passes, {}, allowed_isa(), true});
  for (const Isa isa : {Isa::avx2, Isa::reference})
    if (isa < allowed_isa() && (isa != Isa::reference || seed % 4 == 0))
      list.push_back({std::string("all, ") + isa_name(isa), all_passes, {}, isa, false, isa != Isa::reference});
  return list;
}

struct Worst {
  double error = 0;
  std::string where;
  void see(double e, const std::string& at) {
    if (!(e > error)) return;
    error = e;
    where = at;
  }
};

/** A row of the table. */
struct Summary {
  std::string name;
  int networks = 0, changed = 0;
  Worst ops, logits;
};

/** Rows in the order in which they came. */
std::vector<Summary> table;
/** Networks in which a kernel, a band or an unusual way to cut a step ran. */
std::map<std::string, std::set<std::string>> kernels, bands, cuts;
/** Networks that magnify rounding errors. */
std::set<std::string> sensitive;

Summary& summary(const std::string& name) {
  for (Summary& row : table)
    if (row.name == name) return row;
  return table.emplace_back(Summary{name});
}

/** The largest difference relative to the largest wanted value; infinite where there is a NaN. */
double error_of(std::span<const float> got, std::span<const float> want) {
  double largest = 1e-3, worst = 0;
  for (const float w : want) largest = std::max(largest, std::fabs(static_cast<double>(w)));
  for (size_t i = 0; i < want.size(); i++) {
    const double difference = std::fabs(static_cast<double>(got[i]) - static_cast<double>(want[i]));
    worst = difference <= worst ? worst : std::isnan(difference) ? std::numeric_limits<double>::infinity() : difference;
  }
  return worst / largest;
}

/** TVN_CONVOLUTION=direct while it lives. */
class DirectConvolution {
 public:
  explicit DirectConvolution(bool wanted) : before_(direct_only()) { set(wanted || before_); }
  ~DirectConvolution() { set(before_); }

 private:
  static void set(bool direct) { direct ? setenv("TVN_CONVOLUTION", "direct", 1) : unsetenv("TVN_CONVOLUTION"); }
  bool before_;
};

class NetworkTest : public testing::Test {
 public:
  explicit NetworkTest(const NamedGraph& network) : network_(network), graph_(network.graph) {}

  void TestBody() override {
    Random random(network_.seed, "repeat: " + network_.repeat);
    clips_ = random_clips(random, graph_, batch);
    const Program program = check(graph_);
    ThreadPool pool(program.shape(program.input).size() > large_clip ? 2 : 1);
    const auto before = [&](const Node& node, const Values& x) { draw_parameters(program, node, x, random, parameters_); };
    const auto keep = [&](const Node& node, const Values& y) { want_[node.name].assign(y.begin(), y.end()); };
    interpret(program, parameters_, clip(0), pool, {before, keep});
    const auto nothing = [](const Node&, const Values&) {};
    const auto last = [&](const Node& node, const Values& y) {
      if (node.output == program.output) want_logits_.assign(y.begin(), y.end());
    };
    interpret(program, parameters_, clip(1), pool, {nothing, last});
    for (const NetworkRun& run : runs(network_.seed, random)) {
      SCOPED_TRACE(run.name);
      const DirectConvolution direct(run.direct);
      compare(run);
    }
  }

 private:
  std::span<const uint8_t> clip(size_t i) const {
    const size_t size = clips_.size() / batch;
    return std::span(clips_).subspan(i * size, size);
  }

  ParameterValues values() const {
    ParameterValues values;
    for (const auto& [name, value] : parameters_) values.borrow(name, value);
    return values;
  }

  void compare(const NetworkRun& run) {
    Summary& row = summary(run.name);
    row.networks++;
    ParameterValues folded = values();
    Graph graph = graph_;
    fuse_for_inference(graph, folded, run.passes);
    ops_[run.passes.to_ulong()] = text_of(graph);
    row.changed += text_of(graph) != ops_.at(run.without.to_ulong());
    const Program fused = check(graph);
    std::map<int, int64_t> made;  // tensors that a pass made, such as a scale or the mean before it, with the terms of their values
    const auto logits =
        run_graph(graph, folded, clips_, {batch, run.threads, run.isa}, [&](const Node& node, std::span<float> y, const char* kernel) {
          kernels[kernel].insert(network_.name);
          int64_t inherited = 0;
          for (const int x : node.inputs) inherited += made.contains(x) ? made[x] : 0;
          const auto want = want_.find(tensor_of(graph, node));
          if (want == want_.end()) {
            made[node.output] = terms(fused, node) + inherited;
            return;
          }
          const double error = error_of(y, want->second);
          row.ops.see(error, network_.name + " " + node.name);
          EXPECT_LE(error, op_tolerance(fused, node, inherited))
              << "of " << node.name << " (" << kernel << "), relative to its largest value";
          std::copy(want->second.begin(), want->second.end(), y.begin());
        });
    const size_t classes = logits.size() / batch;
    const double error = error_of(std::span(logits).subspan(classes, classes), want_logits_);
    row.logits.see(error, network_.name);
    if (!(error <= logits_tolerance))
      EXPECT_LE(error, plain_factor * plain_error()) << "of the logits, relative to the largest one, in a network that magnifies errors";
    if (!run.plans) return;
    const auto expect_same = [&](Plan& plan, size_t i) {
      SCOPED_TRACE(testing::Message() << "clip " << i << " alone");
      std::vector<float> alone(classes);
      plan.run(clip(i).data(), alone.data());
      expect_same_bits(alone, std::span(logits).subspan(i * classes, classes));
    };
    for (const size_t band : {size_t{0}, size_t{8} << 10, size_t{64} << 10}) {
      if (band > 0 && !(run.passes == all_passes && run.isa == allowed_isa())) break;
      CpuPlan plan(graph_, values(), {1, 1, run.isa, Precision::f32, run.passes, band > 0 ? BandLimits{0, band} : no_bands});
      for (const Stage& stage : plan.stages())
        if (stage.kernel.find("⇒") != std::string::npos) bands[stage.kernel].insert(network_.name);
      SCOPED_TRACE(testing::Message() << "a Plan with bands of " << band << " bytes");
      for (size_t i = 1; i < batch; i++) expect_same(plan, i);
    }
    if (!(run.passes == all_passes && run.isa == allowed_isa())) return;
    CpuPlanOptions options{1, run.threads, run.isa, Precision::f32, run.passes, BandLimits{0, size_t{64} << 10}, {}};
    constexpr const char* ways[] = {"half the rows", "twice the rows",    "apart", "panels of 2", "smaller blocks",
                                    "larger blocks", "output not fetched"};
    std::minstd_rand random(static_cast<unsigned>(network_.seed + 1));
    for (int round = 0; round < 2; round++) {  // what the first cuts apart has ways of its own
      const CpuPlan so_far(graph_, values(), options);
      for (const Stage& stage : so_far.stages()) options.tuning.known.try_emplace(stage.key, ways[random() % std::size(ways)]);
    }
    CpuPlan plan(graph_, values(), options);
    for (const Stage& stage : plan.stages()) cuts[stage.cut].insert(network_.name);
    SCOPED_TRACE("a Plan whose steps are cut in any way");
    expect_same(plan, 1);
  }

  /** Of the second clip's logits by reference kernels in f32, nothing fused. */
  double plain_error() {
    if (plain_error_) return *plain_error_;
    sensitive.insert(network_.name);
    const auto logits = run_graph(graph_, values(), clips_, {batch, 1, Isa::reference}, [](const Node&, std::span<float>, const char*) {});
    const size_t classes = logits.size() / batch;
    plain_error_ = error_of(std::span(logits).subspan(classes, classes), want_logits_);
    EXPECT_LE(*plain_error_, plain_tolerance) << "of the logits without anything fused, by reference kernels";
    return *plain_error_;
  }

  /** Tells two graphs of one network apart. */
  static std::string text_of(const Graph& graph) {
    std::string text;
    for (const Op& op : graph.ops) {
      text += op.name + ' ' + op.output;
      for (const std::string& input : op.inputs) text += ' ' + input;
      text += '\n';
    }
    return text;
  }

  static std::string tensor_of(const Graph& graph, const Node& node) {
    return std::find_if(graph.ops.begin(), graph.ops.end(), [&](const Op& op) { return op.name == node.name; })->output;
  }

  const NamedGraph& network_;
  const Graph& graph_;
  std::vector<uint8_t> clips_;
  Parameters parameters_;
  std::map<std::string, std::vector<float>> want_;  // first clip's tensors by name
  std::vector<float> want_logits_;                  // of the second clip
  std::map<unsigned long, std::string> ops_;        // of the runs so far, by their passes
  std::optional<double> plain_error_;
};

/** Prints the table when all tests have run. */
class Report : public testing::Environment {
 public:
  void TearDown() override {
    std::printf("\n%-20s %8s %8s   %-28s %s\n", "passes", "networks", "changed", "largest error of logits", "of an op");
    for (const Summary& row : table)
      std::printf("%-20s %8d %8d   %.1e %-20s %.1e %s\n", row.name.c_str(), row.networks, row.changed, row.logits.error,
                  row.logits.where.c_str(), row.ops.error, row.ops.where.c_str());
    std::printf("\nnetworks that magnify rounding errors: %zu", sensitive.size());
    for (const std::string& network : sensitive) std::printf(" %s", network.c_str());
    if (!table.empty()) EXPECT_LE(static_cast<double>(sensitive.size()), std::max(1.0, most_sensitive * table[0].networks));
    std::printf("\n\nnetworks in which a kernel ran\n");
    cuts.erase("");
    for (const auto& list : {kernels, bands, cuts})
      for (const auto& [kernel, networks] : list) std::printf("%8zu %s\n", networks.size(), kernel.c_str());
  }
};

}  // namespace
}  // namespace tvn::test

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  const auto networks = tvn::test::read_networks(std::cin);
  for (const auto& network : networks)
    testing::RegisterTest("Networks", network.name.c_str(), nullptr, nullptr, __FILE__, __LINE__,
                          [&network]() -> testing::Test* { return new tvn::test::NetworkTest(network); });
  testing::AddGlobalTestEnvironment(new tvn::test::Report);
  return RUN_ALL_TESTS();
}
