#include "runtime/cuda_backend.h"

#include <dlfcn.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <iterator>

#include "core/error.h"

namespace tvn {
namespace {

constexpr std::array absence_names = {"none", "bad-setting", "off", "not-built", "unloadable", "stale", "no-device"};

/** The folder of the library or program that this code is in. */
std::filesystem::path own_folder() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void*>(&own_folder), &info) == 0 || !info.dli_fname) return {};
  return std::filesystem::absolute(info.dli_fname).parent_path();
}

CudaBackend absent(CudaAbsence absence, const std::string& reason) { return {nullptr, absence, reason}; }

/** A text that the backend wrote into a fixed array. */
template <size_t N>
std::string text_of(const char (&text)[N]) {
  return std::string(text, std::find(text, text + N, '\0'));
}

}  // namespace

const char* cuda_absence_name(CudaAbsence absence) { return absence_names[static_cast<size_t>(absence)]; }

std::string cuda_setting() {
  const char* setting = std::getenv("TVN_CUDA");
  return setting && *setting ? setting : "auto";
}

CudaBackend load_cuda_backend(const std::string& setting) {
  const bool emulated = setting == "emulated";
  if (setting == "off") return absent(CudaAbsence::off, "it is switched off by TVN_CUDA=off");
  if (!emulated && setting != "auto" && setting != "on")
    return absent(CudaAbsence::bad_setting, "TVN_CUDA is \"" + setting + "\", expected auto, on, off or emulated");
  const std::filesystem::path library = own_folder() / (emulated ? "libtvn_cuda_emu.so" : "libtvn_cuda.so");
  std::error_code ignored;
  if (!std::filesystem::exists(library, ignored))
    return absent(CudaAbsence::not_built, std::string("the CUDA backend") + (emulated ? "'s emulation" : "") + " is not built");
  void* handle = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (!handle) {
    const char* error = dlerror();
    return absent(CudaAbsence::unloadable, std::string("the CUDA backend cannot be loaded: ") + (error ? error : library.string()));
  }
  const auto entry = reinterpret_cast<TvnCudaEntry>(dlsym(handle, TVN_CUDA_ENTRY));
  const TvnCudaBackend* table = entry ? entry() : nullptr;
  if (!table || table->abi != TVN_CUDA_ABI)
    return absent(CudaAbsence::stale, "the CUDA backend was built for another version of this package");
  if (std::string(table->ops_hash ? table->ops_hash : "") != TVN_OPS_HASH)
    return absent(CudaAbsence::stale, "the CUDA backend was built from another op table");
  return {table, CudaAbsence::none, ""};
}

CudaDevices cuda_devices(const std::string& setting) {
  const CudaBackend backend = load_cuda_backend(setting);
  if (!backend.table) return {backend.absence, backend.reason, {}};
  char reason[512] = {};
  const int count = backend.table->device_count(reason, sizeof reason);
  CudaDevices found{CudaAbsence::none, "", {}};
  for (int i = 0; i < count; i++) {
    TvnCudaDevice device{};
    TvnCudaError error{};
    if (backend.table->device(i, &device, &error) != 0) return {CudaAbsence::no_device, text_of(error.message), {}};
    found.devices.push_back(device);
  }
  if (count < 1) return {CudaAbsence::no_device, reason[0] ? text_of(reason) : "this machine has no GPU that can be used", {}};
  return found;
}

const TvnCudaBackend& require_cuda(const std::string& setting, int device) {
  const CudaBackend backend = load_cuda_backend(setting);
  if (!backend.table) throw Error("ERR_DEVICE", "CUDA is not available: " + backend.reason);
  char reason[512] = {};
  const int count = backend.table->device_count(reason, sizeof reason);
  if (count < 1) throw Error("ERR_DEVICE", "CUDA is not available: " + text_of(reason));
  if (device >= count)
    throw Error("ERR_DEVICE", "there is no cuda:" + std::to_string(device) + ", the last one is cuda:" + std::to_string(count - 1));
  return *backend.table;
}

void throw_cuda_error(const TvnCudaError& error) {
  constexpr const char* codes[] = {"ERR_MEMORY", "ERR_DEVICE", "ERR_DEVICE_LOST", "ERR_GRAPH_INVALID"};
  const std::string code = text_of(error.code);
  const auto known = std::find(std::begin(codes), std::end(codes), code);
  throw Error(known == std::end(codes) ? "ERR_NATIVE" : *known, text_of(error.message));
}

}  // namespace tvn
