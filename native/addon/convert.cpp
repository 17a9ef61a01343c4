#include "addon/convert.h"

#include <cmath>

#include "addon/async.h"

namespace tvn::addon {

void bad_argument(Napi::Env env, const std::string& what) { throw make_error(env, "ERR_ARGUMENT", what); }

Napi::Object object_argument(const Napi::CallbackInfo& info, size_t index, const char* name) {
  if (info.Length() <= index || !info[index].IsObject()) bad_argument(info.Env(), std::string(name) + ": expected an object");
  return info[index].As<Napi::Object>();
}

Napi::Value property(Napi::Object object, const char* name) {
  const Napi::Value value = object.Get(name);
  if (value.IsEmpty()) throw Napi::Error::New(object.Env());  // a getter threw
  return value;
}

int64_t whole(Napi::Value value, const std::string& name, int64_t low, int64_t high) {
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : std::nan("");
  if (!(number >= static_cast<double>(low) && number <= static_cast<double>(high) && number == std::floor(number)))
    bad_argument(value.Env(), name + ": expected a whole number from " + std::to_string(low) + " to " + std::to_string(high));
  return static_cast<int64_t>(number);
}

int64_t whole(Napi::Object object, const char* name, int64_t low, int64_t high) { return whole(property(object, name), name, low, high); }

double number(Napi::Object object, const char* name, double low, double high) {
  const Napi::Value value = property(object, name);
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : std::nan("");
  if (!(number >= low && number <= high))
    bad_argument(object.Env(), std::string(name) + ": expected a number from " + std::to_string(low) + " to " + std::to_string(high));
  return number;
}

bool boolean(Napi::Object object, const char* name) {
  const Napi::Value value = property(object, name);
  if (!value.IsBoolean()) bad_argument(object.Env(), std::string(name) + ": expected true or false");
  return value.As<Napi::Boolean>().Value();
}

std::string text(Napi::Object object, const char* name) {
  const Napi::Value value = property(object, name);
  if (!value.IsString()) bad_argument(object.Env(), std::string(name) + ": expected a string");
  return value.As<Napi::String>().Utf8Value();
}

std::vector<int64_t> whole_numbers(Napi::Value value, const std::string& name, int64_t low, int64_t high) {
  if (!value.IsArray()) bad_argument(value.Env(), name + ": expected an array of whole numbers");
  const Napi::Array array = value.As<Napi::Array>();
  std::vector<int64_t> numbers(array.Length());
  for (uint32_t i = 0; i < numbers.size(); i++) numbers[i] = whole(array.Get(i), name + "[" + std::to_string(i) + "]", low, high);
  return numbers;
}

Int3 int3(Napi::Value value, const std::string& name) {
  const std::vector<int64_t> numbers = whole_numbers(value, name, 1, 64);
  if (numbers.size() != 3) bad_argument(value.Env(), name + ": expected [T, H, W]");
  return {static_cast<int>(numbers[0]), static_cast<int>(numbers[1]), static_cast<int>(numbers[2])};
}

namespace {

template <class T>
struct TypedArrayTraits;
template <>
struct TypedArrayTraits<uint8_t> {
  static constexpr napi_typedarray_type type = napi_uint8_array;
  static constexpr const char* name = "a Uint8Array";
};
template <>
struct TypedArrayTraits<int32_t> {
  static constexpr napi_typedarray_type type = napi_int32_array;
  static constexpr const char* name = "an Int32Array";
};
template <>
struct TypedArrayTraits<float> {
  static constexpr napi_typedarray_type type = napi_float32_array;
  static constexpr const char* name = "a Float32Array";
};

std::vector<std::string> strings(Napi::Value value, const std::string& name) {
  if (!value.IsArray()) bad_argument(value.Env(), name + ": expected an array of names");
  const Napi::Array array = value.As<Napi::Array>();
  std::vector<std::string> names(array.Length());
  for (uint32_t i = 0; i < names.size(); i++) {
    const Napi::Value item = array.Get(i);
    if (!item.IsString()) bad_argument(value.Env(), name + ": expected an array of names");
    names[i] = item.As<Napi::String>().Utf8Value();
  }
  return names;
}

std::string_view without_mark(std::string_view name) { return name.substr(0, name.size() - name.ends_with('?')); }

bool takes(const OpRow& row, std::string_view attribute) {
  for (const std::string_view name : split_names(row.attributes))
    if (without_mark(name) == attribute) return true;
  return false;
}

void set_attribute(Napi::Value value, const std::string& name, Int3& to) { to = int3(value, name); }
void set_attribute(Napi::Value value, const std::string& name, float& to) {
  if (!value.IsNumber()) bad_argument(value.Env(), name + ": expected a number");
  to = value.As<Napi::Number>().FloatValue();
}
template <class E>
void set_attribute(Napi::Value value, const std::string& name, E& to) {
  const auto found = value.IsString() ? find_value<E>(value.As<Napi::String>().Utf8Value()) : std::nullopt;
  if (!found) bad_argument(value.Env(), name + ": expected one of " + std::string(enum_names<E>()));
  to = *found;
}

}  // namespace

void read_attributes(Napi::Object object, OpKind kind, const std::string& prefix, Attributes& attributes) {
  for_each_attribute(attributes, [&](const char* name, auto& attribute) {
    const Napi::Value value = property(object, name);
    if (takes(tvn::row(kind), name) && !value.IsUndefined()) set_attribute(value, prefix + name, attribute);
  });
}

namespace {

Op read_op(Napi::Object object) {
  const std::string kind = text(object, "op");
  const auto found = find_op(kind);
  if (!found) bad_argument(object.Env(), "unknown op \"" + kind + "\"");
  Op op{*found, text(object, "name"), strings(property(object, "inputs"), "inputs"), text(object, "output"), {}, {}};
  const OpRow& row = tvn::row(*found);
  const auto slots = split_names(row.parameters);
  if (!slots.empty()) {
    const Napi::Value parameters = property(object, "parameters");
    if (!parameters.IsObject()) bad_argument(object.Env(), op.name + ": parameters: expected an object");
    for (std::string_view slot : slots) {
      const std::string name(without_mark(slot));
      const bool absent = slot.ends_with('?') && property(parameters.As<Napi::Object>(), name.c_str()).IsUndefined();
      op.parameters.push_back(absent ? "" : text(parameters.As<Napi::Object>(), name.c_str()));
    }
  }
  read_attributes(object, *found, op.name + ".", op.attributes);
  return op;
}

}  // namespace

template <class T>
std::span<T> typed_array(Napi::Env env, Napi::Value value, const std::string& name, int64_t size) {
  using Traits = TypedArrayTraits<T>;
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != Traits::type)
    bad_argument(env, name + ": expected " + Traits::name);
  // asked from Node directly: a view on a detached or shared buffer must not be dereferenced by way of its ArrayBuffer
  void* data = nullptr;
  size_t length = 0;
  if (napi_get_typedarray_info(env, value, nullptr, &length, &data, nullptr, nullptr) != napi_ok || (!data && length > 0))
    bad_argument(env, name + ": its memory cannot be read");
  if (size >= 0 && static_cast<int64_t>(length) != size)
    bad_argument(env, name + ": expected " + std::to_string(size) + " elements, got " + std::to_string(length));
  return {static_cast<T*>(data), length};
}
template std::span<uint8_t> typed_array(Napi::Env, Napi::Value, const std::string&, int64_t);
template std::span<int32_t> typed_array(Napi::Env, Napi::Value, const std::string&, int64_t);
template std::span<float> typed_array(Napi::Env, Napi::Value, const std::string&, int64_t);

std::map<std::string, std::string> text_properties(Napi::Object object) {
  std::map<std::string, std::string> properties;
  const Napi::Array names = object.GetPropertyNames();
  for (uint32_t i = 0; i < names.Length(); i++) {
    const Napi::Value name = names.Get(i), value = object.Get(name);  // not by its characters: it may hold any
    if (!value.IsString()) bad_argument(object.Env(), name.ToString().Utf8Value() + ": expected a string");
    properties[name.ToString().Utf8Value()] = value.As<Napi::String>().Utf8Value();
  }
  return properties;
}

Napi::Object text_object(Napi::Env env, const std::map<std::string, std::string>& properties) {
  Napi::Object object = Napi::Object::New(env);
  for (const auto& [name, value] : properties) object.Set(name, value);
  return object;
}

Napi::Array texts(Napi::Env env, const std::vector<std::string>& list) {
  Napi::Array array = Napi::Array::New(env, list.size());
  for (uint32_t i = 0; i < list.size(); i++) array.Set(i, list[i]);
  return array;
}

Graph graph_argument(const Napi::CallbackInfo& info, size_t index) {
  const Napi::Object object = object_argument(info, index, "graph");
  Graph graph;
  graph.input = text(object, "input");
  graph.output = text(object, "output");
  const Napi::Value tensors = property(object, "tensors"), parameters = property(object, "parameters"), ops = property(object, "ops");
  if (!tensors.IsObject() || !parameters.IsObject() || !ops.IsArray())
    bad_argument(info.Env(), "graph: expected tensors, parameters and ops");
  const auto input = whole_numbers(property(tensors.As<Napi::Object>(), graph.input.c_str()), "shape of " + graph.input, 1, 1 << 20);
  if (input.size() != 4) bad_argument(info.Env(), "shape of " + graph.input + ": expected [T, H, W, C]");
  graph.input_shape = {1, input[0], input[1], input[2], input[3]};
  const Napi::Array names = parameters.As<Napi::Object>().GetPropertyNames();
  for (uint32_t i = 0; i < names.Length(); i++) {
    const std::string name = names.Get(i).ToString().Utf8Value();
    graph.parameters[name] =
        whole_numbers(property(parameters.As<Napi::Object>(), name.c_str()), "extents of " + name, 1, int64_t{1} << 32);
  }
  const Napi::Array list = ops.As<Napi::Array>();
  for (uint32_t i = 0; i < list.Length(); i++) {
    const Napi::Value op = list.Get(i);
    if (!op.IsObject()) bad_argument(info.Env(), "graph: an op is not an object");
    graph.ops.push_back(read_op(op.As<Napi::Object>()));
  }
  return graph;
}

ParameterValues parameters_argument(const Napi::CallbackInfo& info, size_t index, const Graph& graph) {
  const Napi::Object object = object_argument(info, index, "parameters");
  ParameterValues values;
  for (const auto& [name, extents] : graph.parameters) {
    int64_t size = 1;
    for (const int64_t extent : extents) {
      size *= extent;
      if (size > int64_t{1} << 34) bad_argument(info.Env(), name + ": too large");
    }
    const auto view = typed_array<float>(info.Env(), property(object, name.c_str()), name, size);
    values.own(name, {view.begin(), view.end()});
  }
  return values;
}

Isa isa_for(Napi::Env env) {
  try {
    return allowed_isa();
  } catch (const Error& error) {
    throw make_error(env, error.code(), error.what());
  }
}

Precision precision_argument(Napi::Value value) {
  const std::string name = value.IsString() ? value.As<Napi::String>().Utf8Value() : "";
  if (name != "f32" && name != "bf16") bad_argument(value.Env(), "precision: expected f32 or bf16");
  return name == "bf16" ? Precision::bf16 : Precision::f32;
}

std::optional<int> gpu_argument(Napi::Value value) {
  if (value.IsUndefined()) return std::nullopt;
  if (!value.IsObject() || text(value.As<Napi::Object>(), "kind") != "cuda") bad_argument(value.Env(), "device.kind: expected cuda");
  return static_cast<int>(whole(value.As<Napi::Object>(), "index", 0, 1023));
}

void require_half(Napi::Value precision) {
  if (!precision.IsString() || precision.As<Napi::String>().Utf8Value() != "f16")
    bad_argument(precision.Env(), "precision: expected f16 on a GPU");
}

}  // namespace tvn::addon
