// How many blocks of a kernel fit on one multiprocessor at a time, by the rules of NVIDIA's cuda_occupancy.h.

/**
 * Of one multiprocessor, by architecture. `sharedReserved` is what the driver takes of every block's shared memory; `sharedPerBlock` what a
 * block may ask for after opting in. Bytes.
 */
export const limits = {
  sm_70: { registers: 65536, threads: 2048, blocks: 32, shared: 96 << 10, sharedPerBlock: 96 << 10, sharedReserved: 0, sharedUnit: 256 },
  sm_80: { registers: 65536, threads: 2048, blocks: 32, shared: 164 << 10, sharedPerBlock: 163 << 10, sharedReserved: 1024, sharedUnit: 128 },
  sm_90: { registers: 65536, threads: 2048, blocks: 32, shared: 228 << 10, sharedPerBlock: 227 << 10, sharedReserved: 1024, sharedUnit: 128 },
}

const warpSize = 32
const partitions = 4 // of a multiprocessor, each with its own registers
const registerUnit = 256 // registers are given to warps in units of it
const largestBlock = 1024

const roundUp = (n, unit) => Math.ceil(n / unit) * unit

/**
 * Blocks that one multiprocessor runs at a time, and what stops more: `registers`, `shared`, `threads` or `blocks`; 0 where not even one fits.
 *
 * @param {keyof typeof limits} architecture
 * @param {{ registers: number, threads: number, shared: number }} kernel registers of a thread, threads of a block, bytes of shared memory of
 *   a block (static and dynamic)
 */
export function blocksPerMultiprocessor(architecture, { registers, threads, shared }) {
  const limit = limits[architecture]
  const warps = Math.ceil(threads / warpSize)
  const registersOfWarp = roundUp(registers * warpSize, registerUnit)
  const fitsRegisters = registers <= 255 && registersOfWarp * roundUp(warps, partitions) <= limit.registers
  const warpsByRegisters = Math.floor(limit.registers / partitions / registersOfWarp) * partitions
  const sharedOfBlock = roundUp(shared + limit.sharedReserved, limit.sharedUnit)
  const bounds = {
    registers: fitsRegisters ? Math.floor(warpsByRegisters / warps) : 0,
    shared: shared > limit.sharedPerBlock ? 0 : sharedOfBlock > 0 ? Math.floor(limit.shared / sharedOfBlock) : Infinity,
    threads: threads > largestBlock ? 0 : Math.floor(limit.threads / warpSize / warps),
    blocks: limit.blocks,
  }
  const [limitedBy, blocks] = Object.entries(bounds).reduce((least, bound) => (bound[1] < least[1] ? bound : least))
  return { blocks, limitedBy }
}
