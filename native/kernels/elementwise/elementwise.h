// What TensorFlow.js does element by element: functions of one tensor, and of two that are broadcast to each other.
//
// As there, NaN stays NaN, step(x) is 1 above 0 and 0 elsewhere, and rsqrt(x) = 1 / sqrt(x).
// Bit-identical for any number of threads.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "core/kernel_list.h"
#include "core/thread_pool.h"

namespace tvn {

#define TVN_UNARY(f) f(neg) f(abs) f(square) f(sqrt) f(rsqrt) f(reciprocal) f(exp) f(sigmoid) f(relu) f(relu6) f(step)
#define TVN_COMPARISON(f) f(greater) f(greater_equal) f(less) f(less_equal) f(equal) f(not_equal)
#define TVN_BINARY(f) f(add) f(sub) f(mul) f(div) f(squared_difference)

#define TVN_NAME(name) name,
#define TVN_TEXT(name) #name,
enum class Unary { TVN_UNARY(TVN_NAME) };
enum class Binary { TVN_BINARY(TVN_NAME) };
enum class Comparison { TVN_COMPARISON(TVN_NAME) };
inline constexpr std::string_view comparison_names[] = {TVN_COMPARISON(TVN_TEXT)};
inline constexpr std::string_view unary_names[] = {TVN_UNARY(TVN_TEXT)};
inline constexpr std::string_view binary_names[] = {TVN_BINARY(TVN_TEXT)};
#undef TVN_NAME
#undef TVN_TEXT

struct UnaryArgs {
  Unary function;
  const float* x;
  float* y;  // may be x
};

/**
 * Axes of y, the last one dense in y; an operand steps by its stride along an axis, 0 where it is broadcast. Along the last axis strides
 * are 0 or 1.
 */
struct Broadcast {
  static constexpr int most_axes = 6;
  int axes = 0;
  std::array<int64_t, most_axes> extent{}, a{}, b{};

  int64_t size() const {
    int64_t size = 1;
    for (int i = 0; i < axes; i++) size *= extent[static_cast<std::size_t>(i)];
    return size;
  }
};

/**
 * How tensors with these extents, as many for both, are broadcast: an extent of 1 to any other. Axes that can be joined are; none where
 * they do not fit, or more than most_axes are left.
 */
std::optional<Broadcast> broadcast_of(std::span<const int64_t> a, std::span<const int64_t> b);

struct BinaryArgs {
  Binary function;
  const float* a;
  const float* b;
  float* y;  // may be an operand that is not broadcast
};

/** y = 1 where it holds, else 0; with NaN only not_equal does. An operand is as long as y, or one number for all. */
struct CompareArgs {
  Comparison function;
  const float* a;
  bool one_a;
  const float* b;
  bool one_b;
  uint8_t* y;
};
/** y = a where the condition is not 0, else b. */
struct SelectArgs {
  const uint8_t* condition;
  const float* a;
  const float* b;
  float* y;  // may be a or b
};
/** y = min(max(x, low), high); NaN stays NaN. */
struct ClipArgs {
  const float* x;
  float low, high;
  float* y;  // may be x
};

using UnaryKernel = void(int64_t size, const UnaryArgs&, ThreadPool&);
using BinaryKernel = void(const Broadcast&, const BinaryArgs&, ThreadPool&);

/** A number of 64 bits that changes whenever one element does, and almost always when more do. */
using FingerprintKernel = uint64_t(const float* x, int64_t size);
std::span<const Kernel<FingerprintKernel>> fingerprint_kernels();

using CompareKernel = void(int64_t size, const CompareArgs&, ThreadPool&);
using SelectKernel = void(int64_t size, const SelectArgs&, ThreadPool&);
using ClipKernel = void(int64_t size, const ClipArgs&, ThreadPool&);

std::span<const Kernel<CompareKernel>> compare_kernels();
std::span<const Kernel<SelectKernel>> select_kernels();
std::span<const Kernel<ClipKernel>> clip_kernels();
std::span<const Kernel<UnaryKernel>> unary_kernels();
std::span<const Kernel<BinaryKernel>> binary_kernels();

}  // namespace tvn
