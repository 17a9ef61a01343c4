// Vectors of a clip or a frame in inference: means, gates (squeeze-and-excitation, context gating) and the head. They are f32, because they
// are short, and multiply weights of halves.
//
// A chain of such products is one launch: a cooperative kernel whose blocks wait for each other between the levels of the chain.
#pragma once

#include "cuda/kernels/shape.h"

namespace tvn::cuda {

/** y = f((x · times)·w + bias) · multiply or, without weights, y = f(x · times) · multiply. */
struct VectorOp {
  int inputs, outputs;           // channels as stored; equal without weights
  const float* x;                // [rows][inputs]
  const float* times = nullptr;  // [rows][inputs], or null
  const half* w = nullptr;       // [inputs][outputs], or null
  const float* bias = nullptr;   // [outputs], or null
  Function function = Function::none;
  const float* multiply = nullptr;  // [rows][outputs], or null
  float* y = nullptr;               // [rows][outputs]; one of y and y16
  half* y16 = nullptr;
};

constexpr int longest_vector_chain = 8;

struct VectorChain {
  int rows, count;
  VectorOp op[longest_vector_chain];
  int level[longest_vector_chain];  // ascending from 0; an op reads results of lower levels only
};

/** Counters of a chain of several levels, zero before the first launch. */
constexpr int vector_chain_counters = 2;
/**
 * `resident`: blocks that the device runs at the same time, from vector_chain_resident_blocks; 0: its blocks cannot wait for each other, so
 * every level is a launch. Results do not depend on it.
 */
void vector_chain(const VectorChain&, int resident, int* counters, cudaStream_t);
/** For the current device. */
int vector_chain_resident_blocks();

}  // namespace tvn::cuda
