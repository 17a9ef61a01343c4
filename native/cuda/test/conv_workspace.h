// For tests of kernels whose blocks add up something together.
#pragma once

#include "cuda/kernels/conv.h"
#include "cuda/test/test.h"

namespace tvn::cuda::test {

constexpr ConvBlock all_blocks[conv_block_count] = {ConvBlock::rows128_columns64, ConvBlock::rows64_columns64, ConvBlock::rows32_columns64,
                                                    ConvBlock::rows64_columns32};

struct Workspace {
  DeviceArray<int> counters;
  DeviceArray<char> parts;
  explicit Workspace(const ConvWorkspaceSize& size) : counters(std::vector<int>(static_cast<size_t>(size.counters))), parts(size.parts) {}
  ConvWorkspace get() { return {counters.data(), reinterpret_cast<float*>(parts.data())}; }
  void expect_zero() {
    for (const int counter : counters.read()) EXPECT(counter == 0);
  }
};

}  // namespace tvn::cuda::test
