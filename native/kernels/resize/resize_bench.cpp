// Time a frame of resizing: crops of training frames, and full frames for prediction.
#include <benchmark/benchmark.h>

#include <string>

#include "core/buffer.h"
#include "core/isa.h"
#include "kernels/resize/resize.h"

namespace tvn {
namespace {

struct Case {
  int64_t width, height, side, size;
};
constexpr Case cases[] = {{96, 96, 84, 24}, {96, 96, 84, 32}, {96, 96, 84, 48}, {480, 360, 315, 224}, {1920, 1080, 945, 224}};

const bool added = [] {
  for (const Kernel<Resize>& kernel : resize_kernels()) {
    if (kernel.isa > detected_isa()) continue;
    for (const Case& c : cases) {
      const std::string name = std::string(kernel.name) + "/" + std::to_string(c.side) + "_of_" + std::to_string(c.width) + "x" +
                               std::to_string(c.height) + "_to_" + std::to_string(c.size);
      benchmark::RegisterBenchmark(name.c_str(), [c, run = kernel.run](benchmark::State& state) {
        Buffer<uint8_t> in(static_cast<std::size_t>(c.width * c.height * 3)), out(static_cast<std::size_t>(c.size * c.size * 3)),
            scratch(resize_scratch(c.side, c.size));
        for (std::size_t i = 0; i < in.size(); i++) in[i] = static_cast<uint8_t>(i * 2654435761u >> 24);
        for (auto _ : state) {
          run({in.data(), c.width, c.height, (c.width - c.side) / 2, (c.height - c.side) / 2, c.side, true, 1.1f, 3, c.size, out.data(),
               scratch.data()});
          benchmark::ClobberMemory();
        }
      })->Unit(benchmark::kMicrosecond);
    }
  }
  return true;
}();

}  // namespace
}  // namespace tvn
