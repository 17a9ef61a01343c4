// What a compiled kernel holds: instructions, read from a cubin or from its disassembly, and resources, read from what ptxas says.

/** Opcodes (the low 12 bits of an instruction of 128) on sm_70 to sm_90. HMMA in the shapes 8×8×4, 16×8×8 and 16×8×16. */
const opcodes = { hmma: [0x236, 0x237, 0x23c], local: [0x387, 0x983] }
const instructionBytes = 16

/**
 * Tensor-core instructions (`hmma`) and accesses to local memory (`local`: LDL, STL) of each kernel of a cubin, by mangled name.
 *
 * @param {Buffer} cubin an ELF file of 64 bits
 * @returns {Map<string, { hmma: number, local: number }>}
 */
export function instructionsOfCubin(cubin) {
  if (cubin.toString('latin1', 0, 4) !== '\x7fELF') throw new Error('not a cubin: it does not begin as an ELF file')
  const table = Number(cubin.readBigUInt64LE(40))
  const entryBytes = cubin.readUInt16LE(58)
  const sections = Array.from({ length: cubin.readUInt16LE(60) }, (_, i) => {
    const at = table + i * entryBytes
    return { name: cubin.readUInt32LE(at), offset: Number(cubin.readBigUInt64LE(at + 24)), size: Number(cubin.readBigUInt64LE(at + 32)) }
  })
  const names = sections[cubin.readUInt16LE(62)].offset
  const found = new Map()
  for (const { name, offset, size } of sections) {
    const text = cubin.toString('latin1', names + name, cubin.indexOf(0, names + name))
    if (!text.startsWith('.text.')) continue
    const counts = { hmma: 0, local: 0 }
    for (let at = offset; at < offset + size; at += instructionBytes) {
      const opcode = cubin.readUInt16LE(at) & 0xfff
      for (const kind of Object.keys(opcodes)) if (opcodes[kind].includes(opcode)) counts[kind]++
    }
    found.set(text.slice('.text.'.length), counts)
  }
  return found
}

/** The same from what `cuobjdump -sass` prints. */
export function instructionsOfDisassembly(text) {
  const found = new Map()
  let counts
  for (const line of text.split('\n')) {
    const name = /^\s*Function : (\S+)/.exec(line)?.[1]
    if (name) found.set(name, (counts = { hmma: 0, local: 0 }))
    const instruction = /^\s*\/\*[0-9a-f]{4,}\*\/\s+(?:@!?U?P\w\s+)?([A-Z]\w*)/.exec(line)?.[1]
    if (!instruction || !counts) continue
    if (instruction === 'HMMA') counts.hmma++
    if (instruction === 'LDL' || instruction === 'STL') counts.local++
  }
  return found
}

/**
 * Resources of each kernel from what `nvcc --resource-usage` prints, by mangled name: registers of a thread, bytes of static shared memory of a
 * block, bytes of a thread's stack and of what is spilled (stores and loads).
 *
 * @returns {Map<string, { registers: number, sharedStatic: number, stack: number, spilled: number }>}
 */
export function resourcesOfPtxas(text) {
  const found = new Map()
  let entry
  let frame
  for (const line of text.split('\n')) {
    entry = /Compiling entry function '([^']+)'/.exec(line)?.[1] ?? entry
    const owner = /Function properties for '?([^'\s]+)/.exec(line)?.[1]
    if (owner) frame = { owner, stack: 0, spilled: 0 }
    const bytes = /(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads/.exec(line)?.slice(1).map(Number)
    if (bytes && frame) [frame.stack, frame.spilled] = [bytes[0], bytes[1] + bytes[2]]
    const registers = /Used (\d+) registers/.exec(line)?.[1]
    if (!registers || !entry) continue
    const own = frame?.owner === entry ? frame : { stack: 0, spilled: 0 }
    const sharedStatic = Number(/(\d+)(?:\+\d+)? bytes smem/.exec(line)?.[1] ?? 0)
    found.set(entry, { registers: Number(registers), sharedStatic, stack: own.stack, spilled: own.spilled })
    entry = undefined
  }
  return found
}

/**
 * A kernel's name for people and for the report, from its demangled signature: without result, parameters, the project's namespaces and
 * anonymous ones, so that it is the same in every build: `void tvn::cuda::(anonymous namespace)::conv_gemm<32, false>(int)` → `conv_gemm<32, false>`.
 */
export function kernelName(signature) {
  const text = signature.replace(/(?:\(anonymous namespace\)|<unnamed>|_GLOBAL__N__\w+)::/g, '').replace(/\btvn::(?:cuda::)?/g, '')
  let depth = 0
  let begin = 0
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '(' && depth === 0) return plainArguments(text.slice(begin, i))
    if (text[i] === ' ' && depth === 0) begin = i + 1
    if ('<('.includes(text[i])) depth++
    if ('>)'.includes(text[i])) depth--
  }
  return plainArguments(text.slice(begin))
}

/** Template arguments as they are written: c++filt and cu++filt differ. */
const plainArguments = (name) => name.replace(/\(bool\)([01])/g, (_, bit) => String(bit === '1')).replace(/\((?:int|unsigned(?: int)?)\)(\d+)/g, '$1')
