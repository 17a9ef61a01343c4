#include "kernels/attention/attention.h"

#include "kernels/attention/attention_blocks.h"
#include "kernels/attention/attention_reference.h"

namespace tvn {

namespace avx2 {
AttentionForward attention_forward;
AttentionBackward attention_backward;
}  // namespace avx2
namespace avx512 {
AttentionForward attention_forward;
AttentionBackward attention_backward;
}  // namespace avx512

namespace {

void forward_reference(const AttentionShape& s, const AttentionForwardArgs& a, ThreadPool&) {
  attention_forward_reference(s, a.theta, a.phi, a.g, a.y, a.scratch);
}
void backward_reference(const AttentionShape& s, const AttentionBackwardArgs& a, ThreadPool&) {
  attention_backward_reference(s, a.theta, a.phi, a.g, a.dy, a.dtheta, a.dphi, a.dg, a.scratch);
}

constexpr Kernel<AttentionForward> forward_list[] = {
    {"attention_forward_f32_avx512", Isa::avx512, avx512::attention_forward},
    {"attention_forward_f32_avx2", Isa::avx2, avx2::attention_forward},
    {"attention_forward_f32_reference", Isa::reference, forward_reference},
};
constexpr Kernel<AttentionBackward> backward_list[] = {
    {"attention_backward_f32_avx512", Isa::avx512, avx512::attention_backward},
    {"attention_backward_f32_avx2", Isa::avx2, avx2::attention_backward},
    {"attention_backward_f32_reference", Isa::reference, backward_reference},
};

}  // namespace

std::span<const Kernel<AttentionForward>> attention_forward_kernels() { return forward_list; }
std::span<const Kernel<AttentionBackward>> attention_backward_kernels() { return backward_list; }

std::size_t attention_scratch(const AttentionShape& s, int threads) {
  const int64_t chunks = query_chunks(s), partial = chunks > 1 ? s.n * chunks * 2 * s.keys * s.depth : 0;
  return static_cast<std::size_t>(threads * block_floats(s) + partial);
}

}  // namespace tvn
