// One kernel, or a few that belong together, of a plan: made before anybody knows where its data will lie.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "cuda/kernels/conv.h"
#include "cuda/runtime/device.h"

namespace tvn::cuda {

/** How a tensor lies in memory. */
enum class Storage {
  bytes,   // the clips
  halves,  // [N, T, H, W, C as stored]
  vector,  // [N·T][C as stored], f32: means, gates and logits
};

struct Place {
  Storage storage = Storage::halves;
  size_t bytes = 0;
  size_t offset = 0;     // in the arena, once it is laid out
  int alias = -1;        // the tensor whose memory this is
  bool sigmoid = false;  // of a gate's z: what is stored is sigmoid(z)
};

/** The tensor whose memory this one is. */
inline int root_of(const std::vector<Place>& places, int tensor) {
  while (places[static_cast<size_t>(tensor)].alias >= 0) tensor = places[static_cast<size_t>(tensor)].alias;
  return tensor;
}

/** Scratch of a step; counters are zero before and after it. */
struct Scratch {
  size_t bytes = 0;
  int counters = 0;
  void cover(const ConvWorkspaceSize& size) {
    bytes = std::max(bytes, size.parts);
    counters = std::max(counters, size.counters);
  }
};

/** Where everything of a plan lies; addresses do not change any more. */
struct Binding {
  const std::vector<Place>& places;
  uint8_t* arena;
  const uint8_t* weights;
  uint8_t* scratch;
  int* counters;
  int* barrier;  // vector_chain_counters of all chains

  const Place& place(int tensor) const { return places[static_cast<size_t>(root_of(places, tensor))]; }
  half* halves(int tensor) const { return reinterpret_cast<half*>(arena + place(tensor).offset); }
  /** Null for −1: no such tensor. */
  float* floats(int tensor) const { return tensor < 0 ? nullptr : reinterpret_cast<float*>(arena + place(tensor).offset); }
  const uint8_t* bytes(int tensor) const { return arena + place(tensor).offset; }
  /** Null for −1: no such parameter. */
  template <class T>
  const T* weight(int64_t offset) const {
    return offset < 0 ? nullptr : reinterpret_cast<const T*>(weights + offset);
  }
  ConvWorkspace workspace() const { return {counters, reinterpret_cast<float*>(scratch)}; }
};

struct Step {
  std::vector<int> nodes;          // of the program
  std::string kernel;              // what is launched, for people
  std::vector<int> reads, writes;  // tensors
  Scratch scratch = {};
  /** Names of ways to cut the work, the usual one first; all have the same bits, but for that of a library. */
  std::vector<std::string> ways = {""};
  size_t library_way = 0;  // the last one, whose launch may throw CudnnError; 0: there is none
  std::string key;         // of the choice between them: what it depends on
  size_t way = 0;
  std::function<void(const Binding&, size_t way, cudaStream_t)> launch;
  int64_t macs = 0, bytes = 0;
};

struct Inference {
  std::vector<Step> steps;
  std::vector<Place> places;  // one a tensor of the program
};

}  // namespace tvn::cuda
