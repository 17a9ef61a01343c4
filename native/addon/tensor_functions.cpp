#include "addon/tensor_functions.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "addon/convert.h"
#include "addon/here.h"
#include "addon/instance.h"
#include "kernels/batch_norm/batch_norm.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/sum/sum.h"

namespace tvn::addon {
namespace {

constexpr int64_t max_extent = int64_t{1} << 31;
constexpr int64_t max_elements = int64_t{1} << 33;

ThreadPool& pool_argument(const Napi::CallbackInfo& info, size_t index) {
  const int threads = static_cast<int>(whole(info[index], "threads", 1, max_threads));
  return here(info.Env(), [&]() -> ThreadPool& { return instance(info.Env()).workspace.pool(threads); });
}

template <size_t N>
size_t name_argument(Napi::Value value, const std::string_view (&names)[N]) {
  const std::string name = value.IsString() ? value.As<Napi::String>().Utf8Value() : "";
  const auto found = std::find(std::begin(names), std::end(names), name);
  if (found == std::end(names)) bad_argument(value.Env(), "name: there is no function " + name);
  return static_cast<size_t>(found - std::begin(names));
}

float float_argument(Napi::Value value, const char* name) {
  if (!value.IsNumber()) bad_argument(value.Env(), std::string(name) + ": expected a number");
  return value.As<Napi::Number>().FloatValue();
}

Function function_argument(Napi::Value value) {
  const auto found = value.IsString() ? find_value<Function>(value.As<Napi::String>().Utf8Value()) : std::nullopt;
  if (!found) bad_argument(value.Env(), "function: expected one of " + std::string(enum_names<Function>()));
  return *found;
}

/** Whole numbers whose product is the size of a tensor. */
std::vector<int64_t> extents_argument(Napi::Value value, const char* name) {
  std::vector<int64_t> extents = whole_numbers(value, name, 1, max_extent);
  int64_t size = 1;
  for (const int64_t extent : extents) {
    if (extent > max_elements / size) bad_argument(value.Env(), std::string(name) + ": too large");
    size *= extent;
  }
  return extents;
}
int64_t product(const std::vector<int64_t>& extents) {
  int64_t size = 1;
  for (const int64_t extent : extents) size *= extent;
  return size;
}

/** allocate(floats): a Float32Array that holds anything */
Napi::Value allocate(const Napi::CallbackInfo& info) {
  const auto floats = static_cast<size_t>(whole(info[0], "floats", 0, max_extent));
  return instance(info.Env()).workspace.arrays.allocate(info.Env(), floats);
}

/** unary(name, x, y, threads) */
void unary(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto function = static_cast<Unary>(name_argument(info[0], unary_names));
  ThreadPool& pool = pool_argument(info, 3);
  const Isa isa = isa_for(env);
  const auto x = typed_array<float>(env, info[1], "x");
  const auto y = typed_array<float>(env, info[2], "y", static_cast<int64_t>(x.size()));
  select(unary_kernels(), isa).run(static_cast<int64_t>(x.size()), {function, x.data(), y.data()}, pool);
}

/** binary(name, a, extentsOfA, b, extentsOfB, y, threads) */
void binary(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto function = static_cast<Binary>(name_argument(info[0], binary_names));
  const std::vector<int64_t> of_a = extents_argument(info[2], "extents of a"), of_b = extents_argument(info[4], "extents of b");
  const std::optional<Broadcast> shape = broadcast_of(of_a, of_b);
  if (!shape) bad_argument(env, "a and b cannot be broadcast to each other");
  int64_t size = 1;
  for (size_t i = 0; i < of_a.size(); i++) {
    const int64_t extent = std::max(of_a[i], of_b[i]);
    if (extent > max_elements / size) bad_argument(env, "y: too large");
    size *= extent;
  }
  ThreadPool& pool = pool_argument(info, 6);
  const Isa isa = isa_for(env);
  const auto a = typed_array<float>(env, info[1], "a", product(of_a)), b = typed_array<float>(env, info[3], "b", product(of_b));
  const auto y = typed_array<float>(env, info[5], "y", size);
  select(binary_kernels(), isa).run(*shape, {function, a.data(), b.data(), y.data()}, pool);
}

/** compare(name, a, b, y, threads): an operand of one element is compared with all. */
void compare(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto function = static_cast<Comparison>(name_argument(info[0], comparison_names));
  ThreadPool& pool = pool_argument(info, 4);
  const Isa isa = isa_for(env);
  const auto y = typed_array<uint8_t>(env, info[3], "y");
  const auto operand = [&](size_t i, const char* name) {
    const auto values = typed_array<float>(env, info[i], name);
    if (values.empty() || (values.size() != 1 && values.size() != y.size()))
      bad_argument(env, std::string(name) + ": expected one element or as many as y has");
    return values;
  };
  const auto a = operand(1, "a"), b = operand(2, "b");
  select(compare_kernels(), isa)
      .run(static_cast<int64_t>(y.size()), {function, a.data(), a.size() == 1, b.data(), b.size() == 1, y.data()}, pool);
}

/** select(condition, a, b, y, threads) */
void select_values(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  ThreadPool& pool = pool_argument(info, 4);
  const Isa isa = isa_for(env);
  const auto condition = typed_array<uint8_t>(env, info[0], "condition");
  const int64_t size = static_cast<int64_t>(condition.size());
  const auto a = typed_array<float>(env, info[1], "a", size), b = typed_array<float>(env, info[2], "b", size);
  const auto y = typed_array<float>(env, info[3], "y", size);
  select(select_kernels(), isa).run(size, {condition.data(), a.data(), b.data(), y.data()}, pool);
}

/** clip(x, low, high, y, threads) */
void clip(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const float low = float_argument(info[1], "low"), high = float_argument(info[2], "high");
  ThreadPool& pool = pool_argument(info, 4);
  const Isa isa = isa_for(env);
  const auto x = typed_array<float>(env, info[0], "x");
  const auto y = typed_array<float>(env, info[3], "y", static_cast<int64_t>(x.size()));
  select(clip_kernels(), isa).run(static_cast<int64_t>(x.size()), {x.data(), low, high, y.data()}, pool);
}

/** sum(x, [outer, count, inner], scale, y, threads) */
void sum(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::vector<int64_t> extents = extents_argument(info[1], "extents");
  if (extents.size() != 3) bad_argument(env, "extents: expected [outer, count, inner]");
  const SumShape shape{extents[0], extents[1], extents[2]};
  const float scale = float_argument(info[2], "scale");
  ThreadPool& pool = pool_argument(info, 4);
  const Isa isa = isa_for(env);
  here(env, [&] {
    const auto x = typed_array<float>(env, info[0], "x", product(extents));
    const auto y = typed_array<float>(env, info[3], "y", shape.outer * shape.inner);
    select(sum_kernels(), isa).run(shape, {x.data(), scale, y.data(), instance(env).workspace.scratch(sum_scratch(shape))}, pool);
  });
}

struct Channels {
  int64_t rows, channels;
};
/** x is [rows, channels]. */
Channels channels_of(Napi::Env env, std::span<const float> x, std::span<const float> per_channel) {
  const int64_t size = static_cast<int64_t>(x.size()), channels = static_cast<int64_t>(per_channel.size());
  if (size == 0 || channels == 0 || size % channels != 0)
    bad_argument(env, "x: expected whole rows of as many channels as the statistics have");
  return {size / channels, channels};
}

/** batchNormStatistics(x, mean, variance, threads) */
void batch_norm_statistics(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  ThreadPool& pool = pool_argument(info, 3);
  const Isa isa = isa_for(env);
  here(env, [&] {
    const auto x = typed_array<float>(env, info[0], "x"), mean = typed_array<float>(env, info[1], "mean");
    const auto [rows, channels] = channels_of(env, x, mean);
    const auto variance = typed_array<float>(env, info[2], "variance", channels);
    float* scratch = instance(env).workspace.scratch(batch_norm_scratch(rows, channels));
    select(batch_norm_statistics_kernels(), isa).run(rows, channels, {x.data(), mean.data(), variance.data(), scratch}, pool);
  });
}

/** batchNormApply(x, scale, shift, function, y, threads) */
void batch_norm_apply(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Function function = function_argument(info[3]);
  ThreadPool& pool = pool_argument(info, 5);
  const Isa isa = isa_for(env);
  const auto x = typed_array<float>(env, info[0], "x"), scale = typed_array<float>(env, info[1], "scale");
  const auto [rows, channels] = channels_of(env, x, scale);
  const auto shift = typed_array<float>(env, info[2], "shift", channels);
  const auto y = typed_array<float>(env, info[4], "y", static_cast<int64_t>(x.size()));
  select(batch_norm_apply_kernels(), isa).run(rows, channels, {x.data(), scale.data(), shift.data(), function, y.data()}, pool);
}

/** batchNormBackward(x, dy, mean, variance, gamma, beta, epsilon, function, dgamma, dbeta, dx, threads) */
void batch_norm_backward(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const float epsilon = float_argument(info[6], "epsilon");
  const Function function = function_argument(info[7]);
  ThreadPool& pool = pool_argument(info, 11);
  const Isa isa = isa_for(env);
  here(env, [&] {
    const auto x = typed_array<float>(env, info[0], "x"), mean = typed_array<float>(env, info[2], "mean");
    const Channels s = channels_of(env, x, mean);
    const auto of_x = [&](size_t i, const char* name) {
      return typed_array<float>(env, info[i], name, static_cast<int64_t>(x.size())).data();
    };
    const auto per_channel = [&](size_t i, const char* name) { return typed_array<float>(env, info[i], name, s.channels).data(); };
    BatchNormBackwardArgs args{.x = x.data(),
                               .dy = of_x(1, "dy"),
                               .mean = mean.data(),
                               .variance = per_channel(3, "variance"),
                               .gamma = per_channel(4, "gamma"),
                               .beta = per_channel(5, "beta"),
                               .epsilon = epsilon,
                               .function = function,
                               .dgamma = per_channel(8, "dgamma"),
                               .dbeta = per_channel(9, "dbeta"),
                               .accumulate = false,
                               .dx = of_x(10, "dx"),
                               .scratch = nullptr};
    args.scratch = instance(env).workspace.scratch(batch_norm_scratch(s.rows, s.channels));
    select(batch_norm_backward_kernels(), isa).run(s.rows, s.channels, args, pool);
  });
}

}  // namespace

void define_tensor_functions(Napi::Env env, Napi::Object exports) {
  exports.Set("allocate", Napi::Function::New<allocate>(env));
  exports.Set("unary", Napi::Function::New<unary>(env));
  exports.Set("binary", Napi::Function::New<binary>(env));
  exports.Set("compare", Napi::Function::New<compare>(env));
  exports.Set("select", Napi::Function::New<select_values>(env));
  exports.Set("clip", Napi::Function::New<clip>(env));
  exports.Set("sum", Napi::Function::New<sum>(env));
  exports.Set("batchNormStatistics", Napi::Function::New<batch_norm_statistics>(env));
  exports.Set("batchNormApply", Napi::Function::New<batch_norm_apply>(env));
  exports.Set("batchNormBackward", Napi::Function::New<batch_norm_backward>(env));
}

}  // namespace tvn::addon
