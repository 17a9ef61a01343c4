#include "cuda/runtime/cudnn.h"

#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

namespace tvn::cuda {
namespace {

constexpr const char* names[] = {"libcudnn.so.9", "libcudnn.so.8"};

/**
 * The library itself only hands calls on to its parts, and where it cannot load one it ends the program: whether those for convolutions
 * are there is seen before anything is called. Those that they depend on come first.
 */
std::vector<std::string> parts_of(const std::string& name) {
  if (name.starts_with("libcudnn.so.9")) return {"libcudnn_graph.so.9", "libcudnn_ops.so.9", "libcudnn_cnn.so.9"};
  if (name.starts_with("libcudnn.so.8")) return {"libcudnn_ops_infer.so.8", "libcudnn_cnn_infer.so.8"};
  return {};
}

void* load(const std::string& name) { return dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL); }

std::string loader_error() {
  const char* const text = dlerror();
  return text ? text : "it cannot be loaded";
}

bool is_missing(const std::string& name, const std::string& error) {
  return error.starts_with(name + ": cannot open shared object file: No such file");
}

std::string version_text(size_t version) {
  const size_t major = version < 10000 ? 1000 : 10000;  // 8.9.7 is 8907, 9.1.0 is 90100
  return std::to_string(version / major) + "." + std::to_string(version % major / 100) + "." + std::to_string(version % 100);
}

/** Where a function of the library comes from. */
std::string path_of(void* function, const std::string& otherwise) {
  Dl_info info{};
  return dladdr(function, &info) && info.dli_fname ? info.dli_fname : otherwise;
}

/** Why one of the parts cannot be loaded, by the loader's search or from the library's own folder; "" where all can. */
std::string missing_part(const std::string& path) {
  std::error_code ignored;
  const std::filesystem::path library = std::filesystem::weakly_canonical(path, ignored);  // behind all links
  for (const std::string& part : parts_of(library.filename().string())) {
    if (load(part)) continue;
    const std::string error = loader_error();
    if (!load((library.parent_path() / part).string())) return is_missing(part, error) ? part + " is not there" : error;
  }
  return "";
}

CudnnSearch refuse(std::string why) { return {nullptr, std::move(why)}; }

/** What is right with a library that has been loaded. */
CudnnSearch examine(void* library, const std::string& name) {
  auto cudnn = std::make_unique<Cudnn>();
  std::string lacking;
  const auto find = [&](const char* symbol) {
    void* const function = dlsym(library, symbol);
    if (!function && lacking.empty()) lacking = symbol;
    return function;
  };
#define TVN_CUDNN_FUNCTION(name, Result, parameters) cudnn->name = reinterpret_cast<Result(*) parameters>(find("cudnn" #name));
  using namespace cudnn;
  TVN_CUDNN_FUNCTIONS(TVN_CUDNN_FUNCTION)
#undef TVN_CUDNN_FUNCTION
  if (!cudnn->GetVersion) return refuse(name + " is not cuDNN");
  cudnn->path = path_of(reinterpret_cast<void*>(cudnn->GetVersion), name);
  if (const std::string why = missing_part(cudnn->path); !why.empty()) return refuse(cudnn->path + " is not complete: " + why);
  const size_t version = cudnn->GetVersion();
  cudnn->version = version_text(version);
  const std::string what = "version " + cudnn->version + " (" + cudnn->path + ")";
  if (version < 8000) return refuse(what + " is older than 8");
  if (version >= 100000) return refuse(what + " is newer than 9");
  if (!lacking.empty()) return refuse(what + " has no " + lacking);
  return {std::move(cudnn), ""};
}

CudnnSearch find_by_names() {
  std::string refusal;
  for (const char* const name : names) {
    CudnnSearch search;
    if (void* const library = load(name)) {
      search = examine(library, name);
      if (search.found) return search;
    } else if (search.refusal = loader_error(); is_missing(name, search.refusal)) {
      continue;
    }
    if (refusal.empty()) refusal = search.refusal;
  }
  return refuse(!refusal.empty() ? refusal : std::string(names[0]) + " and " + names[1] + " are not there");
}

/** What TVN_CUDNN says. */
std::string setting(const char* otherwise) {
  const char* const text = std::getenv("TVN_CUDNN");
  return text && *text ? text : otherwise;
}

/** Each setting is looked for once. */
const CudnnSearch& search(const std::string& setting) {
  static std::mutex mutex;
  static std::map<std::string, CudnnSearch>& searches = *new std::map<std::string, CudnnSearch>;  // plans may outlive static objects
  const std::lock_guard lock(mutex);
  const auto found = searches.find(setting);
  return found != searches.end() ? found->second : searches.emplace(setting, find_cudnn(setting)).first->second;
}

}  // namespace

void Cudnn::check(cudnn::Status status, const char* call) const {
  if (status != cudnn::success) throw CudnnError("cuDNN " + version + ", " + call + ": " + GetErrorString(status));
}

CudnnSearch find_cudnn(const std::string& setting) {
  if (setting == "off") return refuse("TVN_CUDNN is off");
  if (setting == "on") return find_by_names();
  if (setting.find('/') == std::string::npos) return refuse("TVN_CUDNN is " + setting + ", which is neither on nor off nor a path");
  void* const library = load(setting);
  if (library) return examine(library, setting);
  const std::string error = loader_error();
  return refuse(is_missing(setting, error) ? setting + " is not there" : error);
}

const CudnnSearch& cudnn_for_plans() { return search(setting("off")); }
const CudnnSearch& cudnn_for_benchmarks() { return search(setting("on")); }

void require_cudnn_if_asked() {
  const CudnnSearch& s = cudnn_for_plans();
  if (!s.found && setting("off") != "off") throw Error("ERR_DEVICE", "cuDNN cannot be used: " + s.refusal);
}

std::string cudnn_description() {
  const CudnnSearch& s = cudnn_for_plans();
  return s.found ? s.found->version + " (" + s.found->path + ")" : "not used: " + s.refusal;
}

}  // namespace tvn::cuda
