import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { expect } from 'chai'
import { temporaryFolder } from './data/videos.js'

const find = (program: string) => spawnSync('which', [program], { encoding: 'utf8' }).stdout.trim()
const python = spawnSync('python3', ['-c', 'import sys; print(sys.executable)'], { encoding: 'utf8' }).stdout.trim() // behind what stands for it
const tools = 'bash timeout date sed head tail tr mkdir rm rmdir basename dirname cat cp nproc env sleep'.split(' ')

/** Prints a row of each kind; BENCH_<what> is its exit status. */
const bench = `
case "$*" in
  *--cudnn*) echo '{"kind":"convolution","network":"tvn-1","batch":1,"name":"blocks.0","count":2,"shape":"x → y","macs":1,"runs":1,"ms":0.01,"cudnn_ms":0.03}'
    exit \${BENCH_CONVOLUTIONS:-0} ;;
  *--profile*) echo '{"kind":"inference","network":"tvn-1","batch":1,"host_ms":{"median":1,"p90":2,"min":1,"runs":9},"device_ms":null}'
    exit \${BENCH_BENCHMARK:-0} ;;
  *"--train none"*) echo '{"kind":"inference","network":"tvn-1","batch":1,"host_ms":{"median":3,"p90":4,"min":1,"runs":9},"device_ms":null}'
    exit \${BENCH_WITH_CUDNN:-0} ;;
  *--check*) echo '{"kind":"check","network":"tvn-1","task":"inference","batch":1,"error":0.5,"ok":'\${BENCH_OK:-true}'}'
    exit \${BENCH_CHECK:-0} ;;
esac`

describe('scripts/gpu-day.sh', () => {
  let folder: string
  const stub = (name: string, body: string) => {
    const file = path.join(folder, name)
    mkdirSync(path.dirname(file), { recursive: true })
    writeFileSync(file, `#!${find('bash')}\n${body}\n`)
    chmodSync(file, 0o755)
  }

  /** The day of a machine whose programs are stubs; \`environment\` decides which of them fail. */
  const day = (environment: Record<string, string> = {}) => {
    const { status, stdout } = spawnSync(find('bash'), ['scripts/gpu-day.sh', path.join(folder, 'results')], {
      cwd: new URL('..', import.meta.url),
      env: { PATH: path.join(folder, 'bin'), CUDA_HOME: folder, GPU_DAY_BUILD: path.join(folder, 'build'), ...environment },
      encoding: 'utf8',
    })
    const table = readFileSync(path.join(folder, 'results', 'table.txt'), 'utf8')
    expect(stdout.includes(table)).to.equal(true)
    expect(stdout).to.match(new RegExp(`exit status ${status}\n$`))
    const results = JSON.parse(readFileSync(path.join(folder, 'results', 'results.json'), 'utf8')) as {
      rows: { kind: string; name: string; outcome: string }[]
    }
    const outcomes = Object.fromEntries(results.rows.filter(({ kind }) => kind === 'part').map(({ name, outcome }) => [name, outcome]))
    return { status, table, outcomes }
  }

  beforeEach(() => {
    folder = temporaryFolder('gpu-day')
    mkdirSync(path.join(folder, 'bin'))
    for (const tool of tools) symlinkSync(find(tool), path.join(folder, 'bin', tool))
    for (const program of ['git', 'nvcc', 'ninja', 'nvidia-smi', 'cmake']) stub(`bin/${program}`, `exit \${STATUS_OF_${program.replace('-', '_')}:-0}`)
    stub('bin/python3', `case "$*" in *table.py*) exec ${python} "$@" ;; *--dry-run*) ;; *rivals.py*) exit \${RIVALS:-3} ;; *) exit 1 ;; esac`)
    stub('bin/compute-sanitizer', 'sleep ${SANITIZER_SECONDS:-0}; case "$*" in *"--tool ${SANITIZER_FAILS:-none}"*) exit 9 ;; esac')
    stub('build/tvn_cuda_test', 'exit ${TESTS:-0}')
    stub('build/tools/tvn_cuda_bench', bench)
  })
  afterEach(() => rmSync(folder, { recursive: true }))

  it('ends with 0 where all is proven, and has everything in one table', () => {
    const { status, table, outcomes } = day()
    expect(outcomes).to.deep.equal({
      configure: 'ok',
      build: 'ok',
      tests: 'ok',
      check: 'ok',
      figures: 'ok',
      benchmark: 'ok',
      'cudnn-convolutions': 'ok',
      cudnn: 'ok',
      rivals: 'not possible here',
      memcheck: 'ok',
      racecheck: 'ok',
      synccheck: 'ok',
    })
    expect(table).to.match(/^inference +tvn-1 +1 +tvn +1\.000 \(1\.000–2\.000\) +– +alone$/m)
    expect(table).to.match(/^inference +tvn-1 +1 +tvn, with cuDNN +3\.000 \(1\.000–4\.000\) +– +3\.00× +alone$/m)
    expect(table).to.match(/^tvn-1 +1 +1 +0 +0\.020 +0\.060 +3\.00× +1$/m)
    expect(table).to.match(/^blocks\.0 +2 +x → y +10\.0 +30\.0 +3\.00×$/m)
    expect(status).to.equal(0)
  })

  it('ends with 1 where something fails, and goes on', () => {
    const failures: [Record<string, string>, string, string][] = [
      [{ TESTS: '1' }, 'tests', 'exit status 1'],
      [{ BENCH_CHECK: '1', BENCH_OK: 'false' }, 'check', 'exit status 1'],
      [{ BENCH_BENCHMARK: '4' }, 'benchmark', 'exit status 4'],
      [{ BENCH_BENCHMARK: '139' }, 'benchmark', 'exit status 139'],
      [{ BENCH_CONVOLUTIONS: '4' }, 'cudnn-convolutions', 'exit status 4'],
      [{ BENCH_WITH_CUDNN: '1' }, 'cudnn', 'exit status 1'],
      [{ RIVALS: '1' }, 'rivals', 'exit status 1'],
      [{ SANITIZER_FAILS: 'racecheck' }, 'racecheck', 'exit status 9'],
    ]
    for (const [environment, part, outcome] of failures) {
      const { status, table, outcomes } = day(environment)
      expect(outcomes[part]).to.equal(outcome)
      expect(table).to.match(new RegExp(`^${part} +${outcome} +\\d+$`, 'm'))
      expect(outcomes).to.include.keys('synccheck')
      expect(status, part).to.equal(1)
    }
  })

  it('ends with 1 where sanitizers are not there or have no time', () => {
    const late = day({ SANITIZER_SECONDS: '30', GPU_DAY_SECONDS: '7' })
    expect(late.outcomes.memcheck).to.match(/^stopped after \d s$|^left out: no time$/)
    expect(late.outcomes).to.include({ rivals: 'left out: no time', synccheck: 'left out: no time' })
    expect(late.status).to.equal(1)
    rmSync(path.join(folder, 'bin', 'compute-sanitizer'))
    const { status, table } = day()
    expect(table.match(/^(mem|race|sync)check +not proven: there is no compute-sanitizer +0$/gm)).to.have.length(3)
    expect(status).to.equal(1)
  })

  it('counts rivals that are not there for nothing', () => {
    const { status, outcomes } = day({ BENCH_CONVOLUTIONS: '5' })
    expect(outcomes).to.include({ 'cudnn-convolutions': 'left out: there is no cuDNN', rivals: 'not possible here' })
    expect(outcomes).not.to.have.property('cudnn')
    expect(status).to.equal(0)
  })

  it('ends with 3 where it cannot be built, or there is no GPU', () => {
    expect(day({ STATUS_OF_cmake: '1' })).to.deep.include({ status: 3 })
    const { status, outcomes } = day({ BENCH_CHECK: '3' })
    expect(outcomes).to.include({ check: 'not possible here' })
    expect(status).to.equal(3)
  })
})
