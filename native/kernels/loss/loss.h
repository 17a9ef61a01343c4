// Losses with their gradients. Logits are [N,K].
//
//   softmax cross-entropy:  mean over n of −Σ_k q[n,k]·log softmax(z[n])_k,  q = (1 − smoothing)·onehot + smoothing / K
//   sigmoid cross-entropy:  mean over n and k of −(q·log σ(z) + (1 − q)·log(1 − σ(z))),  q = label·(1 − smoothing) + smoothing / 2
//
// Both in the numerically stable form, accumulated in f64. Labels: [N] class numbers; [N,K] zeros and ones.
#pragma once

#include <cstdint>
#include <span>

#include "core/kernel_list.h"

namespace tvn {

struct LossArgs {
  const float* logits;
  const int32_t* labels;
  float smoothing;
  float* dlogits;  // overwritten
};

/** Returns the loss. */
using Loss = double(int64_t n, int64_t classes, const LossArgs&);

std::span<const Kernel<Loss>> softmax_cross_entropy_kernels();
std::span<const Kernel<Loss>> sigmoid_cross_entropy_kernels();

}  // namespace tvn
