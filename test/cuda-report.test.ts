import { expect } from 'chai'

/** The scripts are plain JavaScript without declarations. */
const load = async (name: string) => import(new URL(`../scripts/cuda/${name}.mjs`, import.meta.url).href)
const { blocksPerMultiprocessor } = await load('occupancy')
const { instructionsOfCubin, instructionsOfDisassembly, kernelName, resourcesOfPtxas } = await load('cubin')
const { announcedLaunches, brokenRules, formatReport, formatTable, isAnnounced, isGemm, launchOf, regressions } = await load('report')

describe('scripts/cuda/occupancy.mjs', () => {
  // from NVIDIA's cuda_occupancy.h (CUDA 11.8)
  const cases: [architecture: string, registers: number, threads: number, shared: number, blocks: number, limitedBy: string][] = [
    ['sm_70', 32, 256, 0, 8, 'registers'],
    ['sm_70', 16, 32, 0, 32, 'blocks'],
    ['sm_70', 16, 1024, 0, 2, 'threads'],
    ['sm_70', 128, 256, 0, 2, 'registers'],
    ['sm_70', 129, 256, 0, 1, 'registers'],
    ['sm_70', 65, 1024, 0, 0, 'registers'],
    ['sm_70', 168, 96, 0, 4, 'registers'],
    ['sm_70', 32, 128, 48 << 10, 2, 'shared'],
    ['sm_70', 32, 128, (48 << 10) + 1, 1, 'shared'],
    ['sm_70', 32, 128, (96 << 10) + 1, 0, 'shared'],
    ['sm_80', 32, 128, 81 << 10, 2, 'shared'],
    ['sm_80', 32, 128, (81 << 10) + 1, 1, 'shared'],
    ['sm_80', 32, 128, 163 << 10, 1, 'shared'],
    ['sm_90', 32, 128, 227 << 10, 1, 'shared'],
    ['sm_90', 32, 128, (227 << 10) + 1, 0, 'shared'],
    ['sm_90', 33, 1, 0, 32, 'blocks'],
  ]
  for (const [architecture, registers, threads, shared, blocks, limitedBy] of cases)
    it(`${architecture}: ${registers} registers, ${threads} threads, ${shared} bytes: ${blocks} blocks, by ${limitedBy}`, () =>
      expect(blocksPerMultiprocessor(architecture, { registers, threads, shared })).to.deep.equal({ blocks, limitedBy }))
})

describe('scripts/cuda/cubin.mjs', () => {
  const gemm = '_ZN3tvn4cuda12_GLOBAL__N_19conv_gemmILi32EEEvPf'

  it('reads what ptxas says, of CUDA 11.8 and 13.0', () => {
    const old = `ptxas info    : 16 bytes gmem
ptxas info    : Compiling entry function '${gemm}' for 'sm_70'
ptxas info    : Function properties for ${gemm}
    24 bytes stack frame, 16 bytes spill stores, 20 bytes spill loads
ptxas info    : Used 70 registers, 256 bytes smem, 380 bytes cmem[0]
ptxas info    : Compiling entry function '_Z4plainv' for 'sm_70'
ptxas info    : Function properties for _Z4plainv
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 8 registers, 352 bytes cmem[0]
`
    expect(resourcesOfPtxas(old)).to.deep.equal(
      new Map([
        [gemm, { registers: 70, sharedStatic: 256, stack: 24, spilled: 36 }],
        ['_Z4plainv', { registers: 8, sharedStatic: 0, stack: 0, spilled: 0 }],
      ]),
    )
    const recent = `ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function '_Z4plainv' for 'sm_90'
ptxas info    : Function properties for _Z4plainv
    256 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 34 registers, used 1 barriers, 256 bytes cumulative stack size, 1024 bytes smem
ptxas info    : Compile time = 20.752 ms
`
    expect(resourcesOfPtxas(recent).get('_Z4plainv')).to.deep.equal({ registers: 34, sharedStatic: 1024, stack: 256, spilled: 0 })
  })

  it('does not take the stack of a function that is called for that of a kernel', () => {
    const text = `ptxas info    : Compiling entry function '_Z4plainv' for 'sm_70'
ptxas info    : Function properties for _Z4plainv
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Function properties for _Z6calledv
    8 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 8 registers, 352 bytes cmem[0]
`
    expect(resourcesOfPtxas(text).get('_Z4plainv')).to.include({ registers: 8, stack: 0 })
  })

  it('counts instructions in a disassembly', () => {
    const text = `
	code for sm_70
		Function : ${gemm}
	.headerflags    @"EF_CUDA_SM70 EF_CUDA_PTX_SM(EF_CUDA_SM70)"
        /*0000*/                   IMAD.MOV.U32 R1, RZ, RZ, c[0x0][0x28] ;                          /* 0x00000a00ff017624 */
                                                                                                    /* 0x000fc400078e00ff */
        /*1040*/                   HMMA.884.F32.F32.STEP0 R12, R40.reuse.ROW, R56.reuse.ROW, R12 ;  /* 0x00000038280c7236 */
        /*1050*/              @!P0 HMMA.884.F32.F32.STEP1 R14, R40.reuse.ROW, R56.reuse.ROW, R14 ;  /* 0x00000038280e8236 */
        /*1060*/              @!PT SHFL.IDX PT, RZ, RZ, RZ, RZ ;                                    /* 0x000000fffffff389 */
		..........
		Function : _Z5spillv
        /*0000*/                   STL.128 [R1], R4 ;                                               /* 0x0000000401007387 */
        /*0010*/               @P1 LDL R5, [R6] ;                                                   /* 0x0000000006057983 */
        /*11d70*/                  LDL R5, [R6] ;                                                   /* 0x0000000006057983 */
        /*0030*/                   LDGSTS.E [R0], [R2.64] ;                                         /* 0x0000000006057fae */
`
    expect([...instructionsOfDisassembly(text)]).to.deep.equal([
      [gemm, { hmma: 2, local: 0 }],
      ['_Z5spillv', { hmma: 0, local: 3 }],
    ])
  })

  it('counts the same by opcode in a cubin', () => {
    const cubin = elf({ '.text.volta': [0x00007236, 0x00008236, 0x00057983], '.text.ampere': [0x0000723c, 0x00007237, 0x01007387], '.nv.info.volta': [0x7236] })
    expect([...instructionsOfCubin(cubin)]).to.deep.equal([
      ['volta', { hmma: 2, local: 1 }],
      ['ampere', { hmma: 2, local: 1 }],
    ])
    expect(() => instructionsOfCubin(Buffer.from('//PTX'))).to.throw('not a cubin')
  })

  it('names kernels the same in every build', () => {
    const names = {
      'void tvn::cuda::(anonymous namespace)::conv_gemm<32, 64, false>(__half const*, float*, int)': 'conv_gemm<32, 64, false>',
      'void tvn::cuda::<unnamed>::conv_gemm<(int)32, (unsigned int)64, (bool)0>(const __half *)': 'conv_gemm<32, 64, false>',
      'void tvn::cuda::_GLOBAL__N__f0f9bc8c_7_kern_cu_5de43319::mean_sums<tvn::cuda::WriteMean>(int)': 'mean_sums<WriteMean>',
      'tvn::cuda::add_parts(float const*, float (*)(int), int)': 'add_parts',
      'void tvn::cuda::apply<(tvn::cuda::Function)3>(tvn::cuda::Args)': 'apply<(Function)3>',
      plain: 'plain',
    }
    for (const [signature, name] of Object.entries(names)) expect(kernelName(signature)).to.equal(name)
  })
})

describe('scripts/cuda/report.mjs', () => {
  const kernel = (changes = {}) => ({ registers: 96, sharedStatic: 0, stack: 0, spilled: 0, local: 0, hmma: 64, launch, blocks: 4, ...changes })
  const launch = { threads: 128, sharedDynamic: 16384 }
  const section = (changes = {}, compiler = '11.8') => ({ compiler, kernels: { 'conv/conv_gemm<64>': kernel(changes) } })

  it('finds what became worse', () => {
    const worse = (changes: object) => regressions(section(), section(changes))
    expect(worse({})).to.deep.equal([])
    expect(worse({ registers: 104 })).to.deep.equal([])
    expect(worse({ registers: 80, blocks: 5 })).to.deep.equal([])
    expect(worse({ registers: 105 })).to.deep.equal(['conv/conv_gemm<64>: 105 registers, 96 before'])
    expect(worse({ spilled: 8 })).to.deep.equal(['conv/conv_gemm<64>: spills 8 B, 0 before'])
    expect(worse({ stack: 8 })).to.deep.equal(['conv/conv_gemm<64>: stack of 8 B, 0 before'])
    expect(worse({ local: 2 })).to.deep.equal(['conv/conv_gemm<64>: 2 accesses to local memory, 0 before'])
    expect(worse({ hmma: 0 })).to.deep.equal(['conv/conv_gemm<64>: no tensor-core instruction any more, 64 before'])
    expect(worse({ blocks: 3 })).to.deep.equal(['conv/conv_gemm<64>: blocks on a multiprocessor: 3, 4 before'])
    expect(worse({ blocks: undefined })).to.deep.equal(['conv/conv_gemm<64>: blocks on a multiprocessor: unknown, 4 before'])
  })

  it('finds kernels that came or went', () => {
    const renamed = { compiler: '11.8', kernels: { 'conv/other': kernel() } }
    expect(regressions(section(), renamed)).to.deep.equal([
      'conv/conv_gemm<64>: is gone; run with --write if that is meant',
      'conv/other: is not in the report yet: run with --write',
    ])
    expect(regressions(undefined, section())).to.deep.equal(['nothing is committed for this architecture: run with --write'])
  })

  it('compares only names and tensor cores with what another compiler made', () => {
    expect(regressions(section(), section({ registers: 200, spilled: 4, blocks: 1 }, '12.4'))).to.deep.equal([])
    expect(regressions(section(), section({ hmma: 0 }, '12.4'))).to.have.length(1)
  })

  it('has rules for kernels that are on tensor cores, or should be by their names', () => {
    expect(['conv_gemm<64>', 'gemm', 'add_parts<Gemm_gemm>', 'mean_sums'].map(isGemm)).to.deep.equal([true, true, false, false])
    const broken = (changes: object, architecture = 'sm_70') => brokenRules(architecture, section(changes).kernels)
    expect(broken({})).to.deep.equal([])
    expect(broken({ hmma: 0 })[0]).to.contain('no tensor-core instruction')
    for (const changes of [{ stack: 8 }, { spilled: 8 }, { local: 1 }]) expect(broken(changes)[0]).to.contain('local memory in a kernel on tensor cores')
    expect(broken({ launch: undefined, blocks: undefined })[0]).to.contain('says how it is launched')
    expect(broken({ registers: 255, launch: { threads: 256, sharedDynamic: 0 }, blocks: 1 })).to.deep.equal([
      'conv/conv_gemm<64>: blocks on a multiprocessor: 1, and 2 are needed; limited by registers',
    ])
    expect(broken({ blocks: 1 }, 'sm_90')).to.deep.equal([])
    expect(brokenRules('sm_70', { 'mean/mean_sums': kernel({ hmma: 0, stack: 64, launch: undefined }) })).to.deep.equal([])
    expect(brokenRules('sm_70', { 'attention/forward<4>': kernel() })).to.deep.equal([])
    expect(brokenRules('sm_70', { 'attention/forward<4>': kernel({ spilled: 8, launch: undefined, blocks: undefined }) })).to.have.length(2)
    expect(brokenRules('sm_70', { 'attention/forward<4>': kernel({ blocks: 1 }) })).to.have.length(1)
  })

  it('reads the launches that a source announces', () => {
    const source = 'int a;\n// resources: mean_sums threads=256 shared=0\n  // resources: conv_gemm<64, true> threads=128 shared=18432\n'
    expect(announcedLaunches(source)).to.deep.equal([
      { kernel: 'mean_sums', line: 2, threads: 256, sharedDynamic: 0 },
      { kernel: 'conv_gemm<64, true>', line: 3, threads: 128, sharedDynamic: 18432 },
    ])
    expect(() => announcedLaunches('\n// resources: conv_gemm threads=128')).to.throw('line 2: not of the form')
  })

  it('knows which instances an announced name means', () => {
    expect(isAnnounced('conv_gemm', 'conv_gemm<64, 32>')).to.equal(true)
    expect(isAnnounced('conv', 'conv_gemm<64, 32>')).to.equal(false)
    expect(isAnnounced('conv_gemm<64,32>', 'conv_gemm<64, 32>')).to.equal(true)
    expect(isAnnounced('conv_gemm<64, *>', 'conv_gemm<64, 32>')).to.equal(true)
    expect(isAnnounced('conv_gemm<Tile<64, *>, *>', 'conv_gemm<Tile<64, 32, (Layout)0>, 1>')).to.equal(true)
    expect(isAnnounced('conv_gemm<6*>', 'conv_gemm<32, 64>')).to.equal(false)
  })

  it('takes the most demanding launch, and arguments before a name alone', () => {
    const launches = announcedLaunches(
      ['gemm threads=256 shared=0', 'gemm threads=256 shared=49152', 'gemm<1> threads=64 shared=0'].map((l) => `// resources: ${l}`).join('\n'),
    )
    const of = (name: string) => launchOf('sm_70', name, { registers: 64, sharedStatic: 1024 }, launches)
    expect(of('gemm<2>')).to.deep.equal({ launch: { threads: 256, sharedDynamic: 49152 }, blocks: 1 })
    expect(of('gemm<1>')).to.deep.equal({ launch: { threads: 64, sharedDynamic: 0 }, blocks: 16 })
    expect(of('other')).to.deep.equal({})
  })

  it('writes one line a kernel, and a table', () => {
    const text = formatReport({ sm_80: section(), sm_70: { compiler: '11.8', kernels: {} } })
    expect(JSON.parse(text)).to.deep.equal({ sm_80: section(), sm_70: { compiler: '11.8', kernels: {} } })
    expect(text.split('\n')).to.include(
      '      "conv/conv_gemm<64>": { "registers": 96, "sharedStatic": 0, "stack": 0, "spilled": 0, "local": 0, "hmma": 64, "launch": { "threads": 128, "sharedDynamic": 16384 }, "blocks": 4 }',
    )
    expect(text.indexOf('sm_70')).to.be.lessThan(text.indexOf('sm_80'))
    expect(formatTable('sm_70', section())).to.match(/^\| conv\/conv_gemm<64> +\| +96 \| +16384 \| +0 \| +0 \| +64 \| +128 \| +4 \| +registers \|$/m)
  })
})

/** A file of ELF with sections of instructions, of each of which the first 32 bits are given. */
function elf(sections: Record<string, readonly number[]>): Buffer {
  const names = ['', ...Object.keys(sections), '.shstrtab']
  const strings = Buffer.from(`${names.join('\0')}\0`, 'latin1')
  const contents = [...Object.values(sections).map((words) => Buffer.concat(words.map((word) => instruction(word)))), strings]
  const header = Buffer.alloc(64)
  const table = Buffer.alloc(64 * names.length)
  let offset = header.length
  contents.forEach((content, i) => {
    const at = 64 * (i + 1)
    table.writeUInt32LE(strings.indexOf(`\0${names[i + 1]}\0`, 0, 'latin1') + 1, at)
    table.writeBigUInt64LE(BigInt(offset), at + 24)
    table.writeBigUInt64LE(BigInt(content.length), at + 32)
    offset += content.length
  })
  header.write('\x7fELF', 'latin1')
  header.writeBigUInt64LE(BigInt(offset), 40)
  header.writeUInt16LE(64, 58)
  header.writeUInt16LE(names.length, 60)
  header.writeUInt16LE(names.length - 1, 62)
  return Buffer.concat([header, ...contents, table])
}

function instruction(word: number): Buffer {
  const bytes = Buffer.alloc(16)
  bytes.writeUInt32LE(word)
  return bytes
}
