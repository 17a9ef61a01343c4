// Which instruction sets this CPU has, and the cap that TVN_MAX_ISA puts on them.
#pragma once

#include <string>
#include <vector>

namespace tvn {

/** Ordered: a kernel written for one level may run on every higher one. */
enum class Isa { reference, avx2, avx512, avx512_bf16 };

const char* isa_name(Isa isa);

/** What convolutions multiply; they add in f32 either way, and tensors are f32. bf16 needs Isa::avx512_bf16. */
enum class Precision { f32, bf16 };

/** The highest level that both the CPU and the operating system support. */
Isa detected_isa();

/** detected_isa() capped by TVN_MAX_ISA; throws Error("ERR_ENVIRONMENT") when the variable holds an unknown name. */
Isa allowed_isa();

/** Throws Error("ERR_PRECISION") unless that level has the precision. */
void require_precision(Precision precision, Isa isa);

/** The CPU's brand string, e.g. "AMD EPYC 9654". */
std::string cpu_model();

/** Names of the features that kernels may use, e.g. {"avx2", "fma", "avx512f", …}. */
std::vector<std::string> cpu_features();

}  // namespace tvn
