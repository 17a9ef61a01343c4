// The op table in C++: kinds, attributes and what each kind takes, all from ops.def.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/enums.h"

namespace tvn {

/** T, H, W. */
struct Int3 {
  int t = 1, h = 1, w = 1;
};
using Float = float;

enum class OpKind {
#define TVN_ENUM(Name, ...)
#define TVN_ATTRIBUTE(name, Type)
#define TVN_OP(kind, inputs, parameters, attributes) kind,
#include "ops.def"
#undef TVN_OP
#undef TVN_ATTRIBUTE
};

/** All attributes of all kinds; a kind reads those that its row names. */
struct Attributes {
#define TVN_ATTRIBUTE(name, Type) Type name{};
#define TVN_OP(kind, inputs, parameters, attributes)
#include "ops.def"
#undef TVN_ATTRIBUTE
};

/** Calls f(name, attribute) for every attribute. */
template <class F>
void for_each_attribute(Attributes& attributes, const F& f) {
#define TVN_ATTRIBUTE(name, Type) f(#name, attributes.name);
#include "ops.def"
#undef TVN_ATTRIBUTE
#undef TVN_OP
#undef TVN_ENUM
}

/** The names of an enumeration's values, in order. */
template <class E>
constexpr std::string_view enum_names();
#define TVN_ENUM(Name, ...)                       \
  template <>                                     \
  constexpr std::string_view enum_names<Name>() { \
    return #__VA_ARGS__;                          \
  }
#define TVN_ATTRIBUTE(name, Type)
#define TVN_OP(kind, inputs, parameters, attributes)
#include "ops.def"
#undef TVN_ENUM
#undef TVN_ATTRIBUTE

/** A row of the op table. Names are separated by spaces; "?" marks one that may be absent. */
struct OpRow {
  std::string_view kind, inputs, parameters, attributes;
};
constexpr std::array op_table = {
#define TVN_ENUM(Name, ...)
#define TVN_ATTRIBUTE(name, Type)
#undef TVN_OP
#define TVN_OP(kind, inputs, parameters, attributes) OpRow{#kind, inputs, parameters, attributes},
#include "ops.def"
#undef TVN_ENUM
#undef TVN_ATTRIBUTE
#undef TVN_OP
};

inline const OpRow& row(OpKind kind) { return op_table[static_cast<size_t>(kind)]; }

/** "a b? c" → {"a", "b?", "c"}; also splits at commas. */
std::vector<std::string_view> split_names(std::string_view names);

/** The kind with that name. */
std::optional<OpKind> find_op(std::string_view name);

/** The value of an enumeration with that name. */
template <class E>
std::optional<E> find_value(std::string_view name) {
  const auto names = split_names(enum_names<E>());
  for (size_t i = 0; i < names.size(); i++)
    if (names[i] == name) return static_cast<E>(i);
  return std::nullopt;
}

/** One op: names as they stand in the Graph, absent inputs and parameters as "". */
struct Op {
  OpKind kind;
  std::string name;
  std::vector<std::string> inputs;
  std::string output;
  std::vector<std::string> parameters;  // in the row's order
  Attributes attributes;
  std::vector<std::string> absorbed = {};  // names of the ops that passes have fused into this one
};

inline bool is_one(const Int3& extent) { return extent.t == 1 && extent.h == 1 && extent.w == 1; }
/** A convolution of single pixels, perhaps not of all. */
inline bool mixes_channels(const Op& op) { return op.kind == OpKind::conv && is_one(op.attributes.kernel); }
inline bool is_pointwise(const Op& op) { return mixes_channels(op) && is_one(op.attributes.stride); }

}  // namespace tvn
