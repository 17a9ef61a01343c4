// The enumerations of the op table.
#pragma once

namespace tvn {

#define TVN_ENUM(Name, ...) enum class Name { __VA_ARGS__ };
#define TVN_ATTRIBUTE(name, Type)
#define TVN_OP(kind, inputs, parameters, attributes)
#include "ops.def"
#undef TVN_ENUM
#undef TVN_ATTRIBUTE
#undef TVN_OP

}  // namespace tvn
