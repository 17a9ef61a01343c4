// Convolutions by cuDNN: as a way of the tuner for plans, and as a rival for benchmarks.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "cuda/kernels/conv.h"
#include "cuda/runtime/cudnn.h"
#include "cuda/runtime/program.h"

namespace tvn::cuda {

/** A convolution of planes with the same padding on both sides of an axis, which is all that cuDNN's convolutions have. */
struct CudnnShape {
  struct Axis {
    int x, y, taps, stride, pad;
    int zeros = 0;  // of the taps, in front: they have no weights
  };
  int n, c, oc;
  Axis h, w;
};

/**
 * Windows over H and W see N·T planes of H × W; windows over T see N planes of T × (H·W). cuDNN computes ⌊(x + 2·pad − taps)/stride⌋ + 1
 * positions of an axis, each of which begins at o·stride − pad, as ours do. Where these are as many as we have, the padding behind is
 * right as well: what it adds is zero. Else a tap of zeros and another position of padding in front leave every window where it was, and
 * add one position behind: so every SAME padding can be expressed, whose back is the front or one more. Nothing: for windows over T
 * and H or W at once, and paddings that are neither.
 */
std::optional<CudnnShape> cudnn_shape(const ConvShape& shape);

/** Weights [taps·C][OC], dense, as cuDNN has them: [OC][taps, zeros in front][C] as stored. */
std::vector<half> cudnn_filters(const CudnnShape& shape, const StoredParameter& parameter, std::span<const float> values);

enum class CudnnChoice {
  expected,  // by cuDNN's rules, always the same one
  measured,  // the fastest now
};

/** A convolution whose algorithm has been chosen: y = x ∗ w, f32 sums rounded to halves. */
class CudnnConv {
 public:
  /** Throws CudnnError where no deterministic algorithm is left with at most so many bytes of workspace. */
  CudnnConv(std::shared_ptr<const CudnnHandle> handle, const CudnnShape& shape, CudnnChoice choice, size_t most_workspace);

  const CudnnShape& shape() const { return shape_; }
  size_t workspace() const { return workspace_; }
  const Cudnn& library() const { return handle_->library(); }

  /** Can be recorded into a graph once it has been launched outside of one: the first launch loads kernels. Throws CudnnError. */
  void launch(const half* x, const half* w, half* y, void* workspace, cudaStream_t stream) const;

 private:
  std::shared_ptr<const CudnnHandle> handle_;
  CudnnShape shape_;
  CudnnTensor x_, y_;
  CudnnFilter w_;
  CudnnConvolution convolution_;
  cudnn::Algorithm algorithm_ = 0;
  size_t workspace_ = 0;
};

/**
 * Milliseconds of a convolution alone by the fastest of cuDNN's algorithms: of `runs` of them in one graph (fastest_ms), divided. Where
 * padding is one more behind than in front, cuDNN may have that one more in front as well, if the extents are the same: that is how
 * frameworks would use it, and it saves the tap of zeros. Nothing where cuDNN is not there or refuses; the reason is in `refusal`.
 */
std::optional<double> cudnn_conv_ms(const ConvShape& shape, int runs, cudaStream_t stream, std::string* refusal = nullptr);

}  // namespace tvn::cuda
