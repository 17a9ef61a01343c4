// JavaScript values → plain structs. Every function throws a Napi::Error with code ERR_ARGUMENT that says what was expected; the
// public checks with friendlier words are in TypeScript.
#pragma once

#include <napi.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/isa.h"
#include "graph/graph.h"
#include "graph/passes.h"

namespace tvn::addon {

constexpr int max_threads = 256;
constexpr int64_t max_batch = 65536;

[[noreturn]] void bad_argument(Napi::Env env, const std::string& what);

Napi::Object object_argument(const Napi::CallbackInfo& info, size_t index, const char* name);
Napi::Value property(Napi::Object object, const char* name);
/** A whole number in [low, high]. */
int64_t whole(Napi::Object object, const char* name, int64_t low, int64_t high);
int64_t whole(Napi::Value value, const std::string& name, int64_t low, int64_t high);
/** A finite number in [low, high]. */
double number(Napi::Object object, const char* name, double low, double high);
bool boolean(Napi::Object object, const char* name);
std::string text(Napi::Object object, const char* name);
Int3 int3(Napi::Value value, const std::string& name);
/** The elements of an array of whole numbers in [low, high]. */
std::vector<int64_t> whole_numbers(Napi::Value value, const std::string& name, int64_t low, int64_t high);

/** A typed array argument of exactly that type; `size` −1 allows any. Its memory belongs to JavaScript, which may free it whenever it
 * runs (a getter is enough): copy it before. */
template <class T>
std::span<T> typed_array(Napi::Env env, Napi::Value value, const std::string& name, int64_t size = -1);

/** The properties of an object of texts. */
std::map<std::string, std::string> text_properties(Napi::Object object);
Napi::Object text_object(Napi::Env env, const std::map<std::string, std::string>& properties);

/** An array of texts. */
Napi::Array texts(Napi::Env env, const std::vector<std::string>& list);

/** The attributes that the kind takes, where they are given; errors name them behind `prefix`. */
void read_attributes(Napi::Object object, OpKind kind, const std::string& prefix, Attributes& attributes);

Graph graph_argument(const Napi::CallbackInfo& info, size_t index);
/** Copies of the Float32Arrays of an object by name. Every parameter of the graph is there with its size. */
ParameterValues parameters_argument(const Napi::CallbackInfo& info, size_t index, const Graph& graph);

/** allowed_isa(), its error thrown as a JavaScript one. */
Isa isa_for(Napi::Env env);

/** f32 or bf16. */
Precision precision_argument(Napi::Value value);

/** The index of the GPU that `{ kind: "cuda", index }` names; none where nothing is given: the CPU. */
std::optional<int> gpu_argument(Napi::Value value);
/** The only precision of a GPU: f16. */
void require_half(Napi::Value precision);

}  // namespace tvn::addon
