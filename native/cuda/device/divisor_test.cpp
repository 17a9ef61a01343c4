#include "cuda/device/divisor.h"

#include "cuda/test/test.h"

namespace tvn::cuda::test {
namespace {

constexpr int largest = 2147483647;

__global__ void divide(const int* n, Divisor by, int* quotients, int* remainders) {
  const int i = static_cast<int>(threadIdx.x);
  quotients[i] = by.quotient(n[i]);
  remainders[i] = by.remainder(n[i], quotients[i]);
}

CUDA_TEST(divisor_divides_all_that_fits) {
  Random random;
  std::vector<int> divisors{1, 2, 3, 5, 6, 7, 10, 641, 65535, 65536, 65537, 1 << 30, (1 << 30) + 1, largest - 1, largest};
  for (int i = 0; i < 200; i++) divisors.push_back(1 + static_cast<int>(random.bits() % (1ull << random.integer(1, 31))) % largest);
  for (const int d : divisors) {
    std::vector<int> n{0, 1, d - 1, d, largest - 1, largest, largest / d * d, largest / d * d - 1};
    while (n.size() < 64) n.push_back(static_cast<int>(random.bits() % (1ull << random.integer(1, 31))));
    while (n.size() < 128) {  // around multiples, where a quotient that is off by a little shows
      const int multiple = static_cast<int>(random.bits() % (static_cast<uint64_t>(largest / d) + 1)) * d;
      n.push_back(multiple);
      if (multiple > 0) n.push_back(multiple - 1);
    }
    n.resize(128);
    DeviceArray<int> device_n(n), quotients(n.size()), remainders(n.size());
    LAUNCH(divide, 1, 128, 0, nullptr, device_n.data(), Divisor(d), quotients.data(), remainders.data());
    const auto q = quotients.read(), r = remainders.read();
    const Trace trace("by " + std::to_string(d));
    for (size_t i = 0; i < n.size(); i++) EXPECT(q[i] == n[i] / d && r[i] == n[i] % d);
  }
}

}  // namespace
}  // namespace tvn::cuda::test
