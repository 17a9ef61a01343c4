#include "core/isa.h"

#include <cpuid.h>

#include <array>
#include <cstdlib>
#include <cstring>

#include "core/error.h"

namespace tvn {
namespace {

constexpr std::array isa_names = {"reference", "avx2", "avx512", "avx512_bf16"};

}  // namespace

const char* isa_name(Isa isa) { return isa_names[static_cast<size_t>(isa)]; }

Isa detected_isa() {
  // the builtins also ask the operating system whether it saves the registers (xgetbv)
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return Isa::reference;
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vl");
  if (!avx512) return Isa::avx2;
  return __builtin_cpu_supports("avx512bf16") ? Isa::avx512_bf16 : Isa::avx512;
}

Isa allowed_isa() {
  const Isa detected = detected_isa();
  const char* cap = std::getenv("TVN_MAX_ISA");
  if (!cap || !*cap) return detected;
  for (size_t i = 0; i < isa_names.size(); i++)
    if (std::strcmp(cap, isa_names[i]) == 0) return std::min(detected, static_cast<Isa>(i));
  throw Error("ERR_ARGUMENT", std::string("TVN_MAX_ISA is \"") + cap + "\", expected reference, avx2, avx512 or avx512_bf16");
}

void require_precision(Precision precision, Isa isa) {
  if (precision == Precision::bf16 && isa < Isa::avx512_bf16)
    throw Error("ERR_PRECISION", std::string("precision bf16 needs the instruction set avx512_bf16, here it is ") + isa_name(isa));
}

std::string cpu_model() {
  unsigned brand[12] = {};
  for (unsigned i = 0; i < 3; i++)
    if (!__get_cpuid(0x80000002 + i, &brand[4 * i], &brand[4 * i + 1], &brand[4 * i + 2], &brand[4 * i + 3])) return "unknown";
  char text[sizeof brand + 1] = {};
  std::memcpy(text, brand, sizeof brand);
  std::string name = text;
  const size_t begin = name.find_first_not_of(' ');
  if (begin == std::string::npos) return "unknown";
  return name.substr(begin, name.find_last_not_of(' ') + 1 - begin);
}

std::vector<std::string> cpu_features() {
  __builtin_cpu_init();
  std::vector<std::string> features;
#define FEATURE(name) \
  if (__builtin_cpu_supports(name)) features.push_back(name);
  FEATURE("sse4.2")
  FEATURE("avx")
  FEATURE("avx2")
  FEATURE("fma")
  FEATURE("avx512f")
  FEATURE("avx512bw")
  FEATURE("avx512dq")
  FEATURE("avx512vl")
  FEATURE("avx512vnni")
  FEATURE("avx512bf16")
#undef FEATURE
  return features;
}

}  // namespace tvn
