// Graph → Graph: fewer ops that compute the same. Each pass is exact algebra (rounding aside) and is tested against the graph before it.
#pragma once

#include <bitset>
#include <deque>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "graph/graph.h"

namespace tvn {

/** Values of parameters and running statistics by name; what a pass computes is owned here, the rest belongs to the caller. */
class ParameterValues {
 public:
  void borrow(const std::string& name, std::span<const float> values) { values_[name] = values; }
  void own(const std::string& name, std::vector<float> values) { values_[name] = owned_.emplace_back(std::move(values)); }
  std::span<const float> at(const std::string& name) const { return values_.at(name); }
  bool contains(const std::string& name) const { return values_.contains(name); }

 private:
  std::map<std::string, std::span<const float>> values_;
  std::deque<std::vector<float>> owned_;
};

/** Inference: conv or depthwise → batch_norm becomes one op with scaled weights and a bias, which takes the name of beta. */
void fold_batch_norms(Graph& graph, ParameterValues& values);

enum class Purpose { inference, training };

/**
 * An activation moves into the op before it: conv, depthwise, batch_norm or add; in training into batch_norm, and a relu into add
 * (whose backward pass needs no stored pre-activation).
 */
void fuse_activations(Graph& graph, Purpose purpose);

/**
 * Inference: the mean of a pointwise convolution becomes the convolution of the mean, and the mean of a gated tensor the gate of the mean
 * (both are linear), so that a block's gates follow from its narrow tensor, before the expand convolution runs.
 */
void move_means(Graph& graph, ParameterValues& values);

/**
 * Inference: a pointwise convolution that follows another without a function between becomes one of the other's input, where that has at
 * most half as many channels. After move_means this spares squeezes and gates the mean of the wide tensor, and most of their weights.
 */
void compose_convolutions(Graph& graph, ParameterValues& values);

/** Inference, after move_means: a gate becomes the scale of the pointwise convolution before it. */
void fuse_gates(Graph& graph);

/** Inference: where two convolutions of single pixels meet in an add, one takes in the other: both accumulate into one tensor. */
void fuse_shortcuts(Graph& graph);

/** Inference: any other add moves into a convolution that feeds it, which accumulates onto the other summand. */
void fuse_residuals(Graph& graph);

/** One of the passes above, as inference runs it. */
struct InferencePass {
  std::string_view name;
  void (*run)(Graph&, ParameterValues&);
};
constexpr size_t inference_pass_count = 7;
/** In the order in which they run. */
std::span<const InferencePass, inference_pass_count> inference_passes();

/** Some of the passes for inference, by their places in the list. Whichever run, the graph computes the same. */
using PassSet = std::bitset<inference_pass_count>;
constexpr PassSet all_passes{(1u << inference_pass_count) - 1};

void fuse_for_inference(Graph& graph, ParameterValues& values, PassSet passes = all_passes);

constexpr float batch_norm_epsilon = 1e-5f;

}  // namespace tvn
