#include "cuda/kernels/gate.h"

#include "cuda/device/functions.h"
#include "cuda/device/half8.h"
#include "cuda/kernels/rows.h"

namespace tvn::cuda {
namespace {

constexpr int threads = 256;
constexpr int sum_threads = 512;

__device__ __forceinline__ void load_gates(const half* z, float (&gates)[8]) {
  load8(z, gates);
#pragma unroll
  for (int i = 0; i < 8; i++) gates[i] = sigmoid(gates[i]);
}

/** A thread computes its sigmoids once for all its rows. x may be y, so neither is __restrict__. */
__global__ void __launch_bounds__(threads)
    gate_forward_kernel(GateShape s, Slots slots, const half* x, const half* __restrict__ z, half* y) {
  const int item = static_cast<int>(blockIdx.x) * threads + static_cast<int>(threadIdx.x);
  if (item >= slots.items) return;
  const auto [n, slot, channel] = slots.place(item);
  float gates[8];
  load_gates(z + n * s.channels + channel, gates);
  for (int row = slot; row < s.positions; row += slots.slots) {
    const int at = (n * s.positions + row) * s.channels + channel;
    float values[8];
    load8(x + at, values);
#pragma unroll
    for (int i = 0; i < 8; i++) values[i] *= gates[i];
    store8(y + at, values);
  }
}

struct WriteGateGradient {
  const half* z;
  half* dz;
  int channels;
  bool accumulate;
  __device__ __forceinline__ void operator()(int n, int channel, float sum) const {
    const int at = n * channels + channel;
    const float from = __half2float(z[at]), d = sigmoid(from) * sigmoid(-from) * sum;  // 1 − s would cancel
    dz[at] = __float2half(accumulate ? __half2float(dz[at]) + d : d);
  }
};

/** x and dy are read once, for dx and for the sum. dx may be dy. */
template <class Write>
__global__ void __launch_bounds__(sum_threads)
    gate_backward_kernel(GateShape s, Parts p, const half* __restrict__ x, const half* __restrict__ z, const half* dy, bool accumulate,
                         half* dx, Write write) {
  const int n = static_cast<int>(blockIdx.x) / p.column_blocks, part = static_cast<int>(blockIdx.y);
  const int column_block = static_cast<int>(blockIdx.x) - n * p.column_blocks;
  const PartRows rows = PartRows::of<sum_threads>(p, column_block, part, s.positions, s.channels);
  float sums[8] = {};
  if (rows.begin < rows.end) {
    float gates[8];
    load_gates(z + n * s.channels + rows.channel, gates);
#pragma unroll 2
    for (int row = rows.begin; row < rows.end; row += rows.step) {
      const int at = (n * s.positions + row) * s.channels + rows.channel;
      float d[8], values[8], to[8] = {};
      load8(dy + at, d);
      load8(x + at, values);
      if (accumulate) load8(dx + at, to);
#pragma unroll
      for (int i = 0; i < 8; i++) {
        sums[i] += d[i] * values[i];
        to[i] += d[i] * gates[i];
      }
      store8(dx + at, to);
    }
  }
  write_column_sums<sum_threads>(sums, p, column_block, n * p.parts + part, s.channels, write);
}

Parts parts_of(const GateShape& s) { return cut_rows(s.n, s.positions, s.channels, sum_threads, 4); }

}  // namespace

void gate_forward(const GateShape& s, const GateForwardArgs& a, cudaStream_t stream) {
  const Slots slots(s.n, s.positions, s.channels);
  if (slots.items == 0) return;
  LAUNCH(gate_forward_kernel, ceil_div(slots.items, threads), threads, 0, stream, s, slots, a.x, a.z, a.y);
}

void gate_backward(const GateShape& s, const GateBackwardArgs& a, cudaStream_t stream) {
  if (s.n == 0 || s.channels == 0) return;
  const Parts p = parts_of(s);
  const dim3 grid(static_cast<unsigned>(s.n * p.column_blocks), static_cast<unsigned>(p.parts));
  const WriteGateGradient write{a.z, a.dz, s.channels, a.accumulate_z};
  if (p.parts == 1) {
    const auto kernel = gate_backward_kernel<WriteGateGradient>;
    LAUNCH(kernel, grid, sum_threads, 0, stream, s, p, a.x, a.z, a.dy, a.accumulate, a.dx, write);
    return;
  }
  const StoreSum store{a.workspace, s.channels};
  const auto kernel = gate_backward_kernel<StoreSum>;
  LAUNCH(kernel, grid, sum_threads, 0, stream, s, p, a.x, a.z, a.dy, a.accumulate, a.dx, store);
  launch_add_parts(s.n, p.parts, s.channels, a.workspace, write, stream);
}

size_t gate_backward_workspace(const GateShape& s) { return parts_of(s).workspace(s.n, s.channels); }

}  // namespace tvn::cuda
