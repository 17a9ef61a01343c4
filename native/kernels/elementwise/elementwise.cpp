#include "kernels/elementwise/elementwise.h"

#include <algorithm>

#include "kernels/elementwise/elementwise_reference.h"

namespace tvn {

namespace avx2 {
UnaryKernel unary;
BinaryKernel binary;
FingerprintKernel fingerprint;
CompareKernel compare;
SelectKernel select;
ClipKernel clip;
}  // namespace avx2
namespace avx512 {
UnaryKernel unary;
BinaryKernel binary;
FingerprintKernel fingerprint;
CompareKernel compare;
SelectKernel select;
ClipKernel clip;
}  // namespace avx512

namespace {

void unary_reference(int64_t size, const UnaryArgs& a, ThreadPool&) { reference::unary(size, a.function, a.x, a.y); }
void binary_reference(const Broadcast& s, const BinaryArgs& a, ThreadPool&) { reference::binary(s, a.function, a.a, a.b, a.y); }

void compare_reference(int64_t size, const CompareArgs& a, ThreadPool&) { reference::compare(size, a); }
void select_reference(int64_t size, const SelectArgs& a, ThreadPool&) { reference::select(size, a); }
void clip_reference(int64_t size, const ClipArgs& a, ThreadPool&) { reference::clip(size, a); }
constexpr Kernel<FingerprintKernel> fingerprint_list[] = {
    {"fingerprint_f32_avx512", Isa::avx512, avx512::fingerprint},
    {"fingerprint_f32_avx2", Isa::avx2, avx2::fingerprint},
    {"fingerprint_f32_reference", Isa::reference, reference::fingerprint},
};
constexpr Kernel<CompareKernel> compare_list[] = {
    {"compare_f32_avx512", Isa::avx512, avx512::compare},
    {"compare_f32_avx2", Isa::avx2, avx2::compare},
    {"compare_f32_reference", Isa::reference, compare_reference},
};
constexpr Kernel<SelectKernel> select_list[] = {
    {"select_f32_avx512", Isa::avx512, avx512::select},
    {"select_f32_avx2", Isa::avx2, avx2::select},
    {"select_f32_reference", Isa::reference, select_reference},
};
constexpr Kernel<ClipKernel> clip_list[] = {
    {"clip_f32_avx512", Isa::avx512, avx512::clip},
    {"clip_f32_avx2", Isa::avx2, avx2::clip},
    {"clip_f32_reference", Isa::reference, clip_reference},
};

constexpr Kernel<UnaryKernel> unary_list[] = {
    {"unary_f32_avx512", Isa::avx512, avx512::unary},
    {"unary_f32_avx2", Isa::avx2, avx2::unary},
    {"unary_f32_reference", Isa::reference, unary_reference},
};
constexpr Kernel<BinaryKernel> binary_list[] = {
    {"binary_f32_avx512", Isa::avx512, avx512::binary},
    {"binary_f32_avx2", Isa::avx2, avx2::binary},
    {"binary_f32_reference", Isa::reference, binary_reference},
};

}  // namespace

std::span<const Kernel<FingerprintKernel>> fingerprint_kernels() { return fingerprint_list; }
std::span<const Kernel<CompareKernel>> compare_kernels() { return compare_list; }
std::span<const Kernel<SelectKernel>> select_kernels() { return select_list; }
std::span<const Kernel<ClipKernel>> clip_kernels() { return clip_list; }
std::span<const Kernel<UnaryKernel>> unary_kernels() { return unary_list; }
std::span<const Kernel<BinaryKernel>> binary_kernels() { return binary_list; }

std::optional<Broadcast> broadcast_of(std::span<const int64_t> a, std::span<const int64_t> b) {
  if (a.size() != b.size()) return std::nullopt;
  Broadcast s;
  int64_t step_a = 1, step_b = 1;  // of the axis at hand
  // from the last axis on, which comes first until all is turned around
  for (std::size_t i = a.size(); i-- > 0;) {
    if (a[i] != b[i] && a[i] != 1 && b[i] != 1) return std::nullopt;
    const int64_t extent = a[i] == 1 ? b[i] : a[i], stride_a = a[i] == 1 ? 0 : step_a, stride_b = b[i] == 1 ? 0 : step_b;
    step_a *= a[i];
    step_b *= b[i];
    if (extent == 1) continue;
    if (s.axes > 0) {
      const std::size_t inner = static_cast<std::size_t>(s.axes - 1);
      const auto joins = [&](int64_t outer_stride, int64_t inner_stride) { return outer_stride == inner_stride * s.extent[inner]; };
      if (joins(stride_a, s.a[inner]) && joins(stride_b, s.b[inner])) {
        s.extent[inner] *= extent;
        continue;
      }
    }
    if (s.axes == Broadcast::most_axes) return std::nullopt;
    const std::size_t axis = static_cast<std::size_t>(s.axes++);
    s.extent[axis] = extent, s.a[axis] = stride_a, s.b[axis] = stride_b;
  }
  if (s.axes == 0) s.axes = 1, s.extent[0] = 1, s.a[0] = s.b[0] = 0;
  const auto turn = [&](auto& list) { std::reverse(list.begin(), list.begin() + s.axes); };
  turn(s.extent), turn(s.a), turn(s.b);
  return s;
}

}  // namespace tvn
