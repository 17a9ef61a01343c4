#include "cuda/runtime/program.h"

#include "core/error.h"
#include "cuda/test/test.h"

namespace tvn::cuda::test {
namespace {

std::string refusal(const Shape& shape, int64_t batch) {
  Program program;
  program.tensors.push_back({"", shape, -1, 0});
  try {
    require_size(program, batch);
    return "";
  } catch (const Error& error) {
    return std::string(error.code()) + ": " + error.what();
  }
}

// Kernels count elements in 31 bits, of channels as they are stored: 57 take the room of 64.
CUDA_TEST(program_refuses_tensors_of_two_to_the_31_elements) {
  for (const int64_t channels : {57, 64}) {
    const Shape shape{1, 2, 1024, 1024, channels};
    EXPECT(refusal(shape, 15).empty());
    EXPECT(refusal(shape, 16).find("ERR_MEMORY: a tensor of ") == 0 && refusal(shape, 16).find("batch of 16") != std::string::npos);
  }
  EXPECT(refusal({1, 2, 1024, 1024, 56}, 16).empty());
  EXPECT(!refusal({1, int64_t{1} << 20, 1 << 20, 1 << 20, 1 << 20}, int64_t{1} << 30).empty());  // beyond 64 bits
}

}  // namespace
}  // namespace tvn::cuda::test
