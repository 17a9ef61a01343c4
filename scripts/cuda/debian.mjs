// The CUDA compiler from Debian's packages, unpacked into a folder and never installed: installing it would also bring a driver's libraries, and
// a machine without a GPU would look as if it had one. apt fetches and verifies the packages with a state and a cache of its own.
import { createHash } from 'node:crypto'
import { spawn, spawnSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { cachedVersion } from './toolchain.mjs'

const release = 'bookworm' // the one with CUDA 11.8
const megabytes = (bytes) => `${Math.round(bytes / 1e6)} MB`
/** Of disk: the packages while they are fetched and what is unpacked. */
const neededBytes = 1.2e9

/** What is kept of each package, and where it goes in the folder, which is laid out as NVIDIA's own toolkits are. */
export const kept = {
  'nvidia-cuda-toolkit': {
    ...Object.fromEntries(
      ['ptxas', 'fatbinary', 'cudafe++', 'cuobjdump', 'nvdisasm', 'nvlink', 'cu++filt', 'bin2c'].map((name) => [`usr/bin/${name}`, `bin/${name}`]),
    ),
    'usr/lib/nvidia-cuda-toolkit/bin/nvcc': 'bin/nvcc',
    'usr/lib/nvidia-cuda-toolkit/bin/crt': 'bin/crt',
    'usr/lib/nvidia-cuda-toolkit/bin/cicc': 'nvvm/bin/cicc',
    'usr/lib/nvidia-cuda-toolkit/libdevice': 'nvvm/libdevice',
  },
  'nvidia-cuda-dev': {
    'usr/include': 'include',
    'usr/lib/x86_64-linux-gnu/libcudart_static.a': 'lib64/libcudart_static.a',
    'usr/lib/x86_64-linux-gnu/libcudadevrt.a': 'lib64/libcudadevrt.a',
  },
  // linked statically, but CMake calls no toolkit complete without the shared one
  'libcudart11.0': { 'usr/lib/x86_64-linux-gnu/libcudart.so.11.8.89': 'lib64/libcudart.so' },
  'libcu++-dev': { 'usr/include': 'include' },
}
/** Headers of libraries that are not kept. */
const excluded = ['npp*', 'curand*', 'cusparse*', 'cublas*', 'cusolver*', 'cufft*', 'nvtx3', 'nvToolsExt*', 'nvjpeg*', 'nvblas*', 'cuda-gdb']

/** Where this nvcc finds the rest of itself: Debian's own file says /usr. */
const profile = `TOP                 = $(_HERE_)/..
NVVMIR_LIBRARY_DIR  = $(TOP)/nvvm/libdevice
PATH               += $(TOP)/nvvm/bin:$(_HERE_):
INCLUDES           += "-I$(TOP)/include" $(_SPACE_)
LIBRARIES          =+ $(_SPACE_) "-L$(TOP)/lib64"
CUDAFE_FLAGS       +=
PTXAS_FLAGS        +=
`

const marker = 'packages.json'
/** Changes when something else is kept, so that folders of before are made again. */
const layout = createHash('sha256')
  .update(JSON.stringify([kept, excluded, profile]))
  .digest('hex')
  .slice(0, 16)

/** Versions of the packages in a complete folder, or undefined. */
export function unpackedVersions(folder) {
  try {
    const { packages, layout: was } = JSON.parse(fs.readFileSync(path.join(folder, marker), 'utf8'))
    return was === layout && fs.existsSync(path.join(folder, 'bin', 'nvcc')) ? packages : undefined
  } catch {
    return undefined
  }
}

/** What this machine lacks to fetch the packages, in words, or undefined. */
export function whatIsMissing(osRelease = fs.existsSync('/etc/os-release') ? fs.readFileSync('/etc/os-release', 'utf8') : '') {
  const value = (key) => new RegExp(`^${key}="?([^"\\n]*)`, 'm').exec(osRelease)?.[1]
  if (value('VERSION_CODENAME') !== release || value('ID') !== 'debian')
    return `Debian 12 (${release}) has CUDA ${cachedVersion}, and this is ${value('PRETTY_NAME') ?? process.platform}. Elsewhere install a CUDA of 11.4 to 12.9 and set CUDA_PATH`
  if (process.arch !== 'x64') return `only packages for x86-64 are known here, and this is ${process.arch}`
  for (const program of ['apt-get', 'apt-cache', 'dpkg-deb', 'tar'])
    if (spawnSync(program, ['--version']).error) return `${program} is missing: it fetches and unpacks Debian's packages`
  return undefined
}

/**
 * The machine's own sources with the component non-free, as one deb822 file: mirrors, keys and options stay as they are. Only Debian's own suites
 * with the component main are taken, and of their types only `deb`.
 *
 * @param {{ name: string, text: string }[]} files of /etc/apt: `.list` (a line each) and `.sources` (stanzas)
 */
export function sourcesWithNonFree(files) {
  const suites = new RegExp(`^(?:${release}|oldstable|stable)(?:-updates|-security)?$`)
  const stanzas = files.flatMap(({ name, text }) => (name.endsWith('.sources') ? stanzasOf(text) : stanzasOfLines(text)))
  const taken = stanzas.flatMap((stanza) => {
    const words = (key) => stanza.get(key)?.split(/\s+/).filter(Boolean) ?? []
    const ownSuites = words('suites').filter((suite) => suites.test(suite))
    const disabled = /^(?:no|false|0)$/i.test(stanza.get('enabled')?.trim() ?? '')
    if (disabled || !words('types').includes('deb') || ownSuites.length === 0 || !words('components').includes('main')) return []
    const components = [...new Set([...words('components'), 'non-free'])].join(' ')
    return [new Map([...stanza, ['types', 'deb'], ['suites', ownSuites.join(' ')], ['components', components]])]
  })
  return taken.map((stanza) => [...stanza].map(([key, value]) => `${key}: ${value}\n`).join('')).join('\n')
}

/** Fields by name in lower case; a field's further lines, which begin with a space, stay as they are. */
function stanzasOf(text) {
  const lines = text.split('\n').filter((line) => !line.startsWith('#'))
  return lines
    .join('\n')
    .split(/\n\s*\n/)
    .flatMap((block) => {
      const fields = [...block.matchAll(/^(\S+?):[ \t]*(.*(?:\n[ \t].*)*)/gm)].map(([, key, value]) => [key.toLowerCase(), value])
      return fields.length > 0 ? [new Map(fields)] : []
    })
}

function stanzasOfLines(text) {
  return text.split('\n').flatMap((line) => {
    const [, type, options = '', uri, suite, components] = /^\s*(deb)\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s+([^#]+)/.exec(line) ?? []
    if (!type) return []
    const names = { arch: 'architectures', lang: 'languages', target: 'targets' }
    const fields = [...options.matchAll(/([\w-]+)=(\S+)/g)].map(([, key, value]) => [names[key] ?? key, value.replaceAll(',', ' ')])
    return [new Map([['types', type], ['uris', uri], ['suites', suite], ['components', components.trim()], ...fields])]
  })
}

/** Why apt or tar failed, in one sentence where it is a usual reason, with what it said. */
export function explainFailure(output) {
  const lines = output.split('\n').filter((line) => /^(?:E|W|Err|tar|dpkg-deb)[:\s]/.test(line))
  const said = (lines.length > 0 ? lines : output.trim().split('\n')).slice(-6).join('\n')
  if (/No space left|not enough free space/i.test(output))
    return `the disk is full: free ${megabytes(neededBytes)} or set TVN_CACHE_DIR to a larger disk\n${said}`
  if (/NO_PUBKEY|is not signed|EXPKEYSIG|BADSIG|cannot be authenticated|signatures? (?:couldn't be|were) /i.test(output))
    return `apt does not trust the packages' signature\n${said}`
  if (/Could ?n[o']t (?:resolve|connect)|Temporary failure|unreachable|Connection (?:timed out|refused|failed)|Failed to fetch/i.test(output))
    return `the packages cannot be fetched: is there a network?\n${said}`
  if (/Unable to locate package|has no installation candidate|Can't select/i.test(output))
    return `the machine's Debian mirror has no component non-free\n${said}`
  return said
}

/**
 * Fetches the packages and makes `folder`. Throws an Error with a sentence for people.
 *
 * @param {string} folder made or replaced at the end, when it is complete
 * @param {(line: string) => void} log
 */
export async function unpackToolkit(folder, log) {
  const work = `${folder}.partial-${process.pid}`
  removeAbandoned(folder)
  // not fs.mkdirSync: its `recursive` never returns where the system says ENOENT although the parent exists, as /proc does
  const made = await run('mkdir', ['-p', work])
  if (made.status !== 0) throw new Error(`the cache folder cannot be made, set TVN_CACHE_DIR to one that can be written\n${made.output.trim()}`)
  try {
    const { bavail, bsize } = fs.statfsSync(work)
    if (bavail * bsize < neededBytes) throw new Error(explainFailure(`No space left: ${megabytes(bavail * bsize)} are free in ${path.dirname(folder)}`))
    const packages = await fetchPackages(path.join(work, 'apt'), log)
    const toolkit = path.join(work, 'toolkit')
    log('unpacking')
    for (const [name, { file }] of Object.entries(packages)) await unpack(file, kept[name], toolkit)
    fs.writeFileSync(path.join(toolkit, 'bin', 'nvcc.profile'), profile)
    const versions = Object.fromEntries(Object.entries(packages).map(([name, { version }]) => [name, version]))
    fs.writeFileSync(path.join(toolkit, marker), `${JSON.stringify({ layout, packages: versions }, null, 2)}\n`)
    fs.rmSync(folder, { recursive: true, force: true })
    fs.renameSync(toolkit, folder)
  } catch (error) {
    throw error.code === 'ENOSPC' ? new Error(explainFailure(`No space left in ${work}`), { cause: error }) : error
  } finally {
    fs.rmSync(work, { recursive: true, force: true })
  }
}

/** Removes what runs that were killed left behind. */
function removeAbandoned(folder) {
  const parent = path.dirname(folder)
  for (const name of fs.existsSync(parent) ? fs.readdirSync(parent) : []) {
    const owner = name.startsWith(`${path.basename(folder)}.partial-`) && name.split('-').at(-1)
    if (owner && !fs.existsSync(`/proc/${owner}`)) fs.rmSync(path.join(parent, name), { recursive: true, force: true })
  }
}

/** Downloads the packages with a private apt, and returns the file and the version of each. */
async function fetchPackages(folder, log) {
  const own = (...names) => path.join(folder, ...names)
  for (const name of ['state/lists/partial', 'cache/archives/partial', 'packages']) fs.mkdirSync(own(name), { recursive: true })
  const sources = sourcesWithNonFree(sourceFiles('/etc/apt'))
  if (!sources) throw new Error(`/etc/apt names no source of Debian ${release} with the component main`)
  fs.writeFileSync(own('debian.sources'), sources)
  // What the machine's configuration does after an update is about the machine's own lists.
  fs.writeFileSync(own('apt.conf'), '#clear APT::Update::Post-Invoke;\n#clear APT::Update::Post-Invoke-Success;\n')
  const settings = {
    'Dir::State': own('state'),
    'Dir::Cache': own('cache'),
    'Dir::Etc::SourceList': own('debian.sources'),
    'Dir::Etc::SourceParts': '-',
    'Acquire::Languages': 'none',
    'Acquire::AllowInsecureRepositories': 'false',
    'APT::Get::AllowUnauthenticated': 'false',
    'APT::Sandbox::User': 'root', // apt's own user cannot write here; without root it changes nothing
  }
  const options = Object.entries(settings).flatMap(([key, value]) => ['-o', `${key}=${value}`])
  const apt = (program, ...args) => run(program, ['-c', own('apt.conf'), ...options, ...args], own('packages'))

  log("reading the package lists of the machine's Debian mirror")
  const update = await apt('apt-get', '-q', 'update')
  if (update.status !== 0) throw new Error(explainFailure(update.output))
  const packages = {}
  for (const name of Object.keys(kept)) {
    const { output } = await apt('apt-cache', 'show', '--no-all-versions', name)
    const size = Number(/^Size: (\d+)/m.exec(output)?.[1])
    if (!size) throw new Error(explainFailure(`${update.output}\n${output}`))
    log(`fetching ${name} (${size < 1e6 ? 'less than 1 MB' : megabytes(size)})`)
    const fetched = () => fs.readdirSync(own('packages')).find((file) => file.startsWith(`${name}_`))
    const progress = setInterval(() => {
      const file = fetched()
      if (file) log(`  ${megabytes(fs.statSync(own('packages', file)).size)}`)
    }, 10_000)
    const download = await apt('apt-get', '-q', 'download', name).finally(() => clearInterval(progress))
    const file = fetched()
    if (download.status !== 0 || !file) throw new Error(explainFailure(`${update.output}\n${download.output}`))
    packages[name] = { file: own('packages', file), version: /^Version: (.*)/m.exec(output)?.[1] }
  }
  return packages
}

/** Files that apt reads: sources.list and those of sources.list.d whose names end in `.list` or `.sources`. */
function sourceFiles(etc) {
  const parts = path.join(etc, 'sources.list.d')
  const names = fs.existsSync(parts) ? fs.readdirSync(parts).filter((name) => /^[\w.-]+\.(?:list|sources)$/.test(name)) : []
  const files = [path.join(etc, 'sources.list'), ...names.map((name) => path.join(parts, name))]
  return files.filter((file) => fs.existsSync(file)).map((name) => ({ name, text: fs.readFileSync(name, 'utf8') }))
}

/** Unpacks the members of a package that are kept to where they go. */
async function unpack(file, members, toolkit) {
  fs.mkdirSync(toolkit, { recursive: true })
  const quote = (text) => `'${text.replaceAll("'", "'\\''")}'`
  const moves = Object.entries(members).map(([from, to]) => `--transform=s,^\\./${from.replaceAll('.', '\\.')},${to},S`)
  const skips = excluded.map((name) => `--exclude=./usr/include/${name}`)
  const tar = ['tar', '-x', '--no-same-owner', '-C', toolkit, ...skips, ...moves, ...Object.keys(members).map((name) => `./${name}`)]
  const { status, output } = await run('bash', ['-c', `set -o pipefail; dpkg-deb --fsys-tarfile ${quote(file)} | ${tar.map(quote).join(' ')}`])
  if (status !== 0) throw new Error(explainFailure(output))
}

function run(program, args, cwd) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, LC_ALL: 'C' } })
    let output = ''
    child.stdout.on('data', (data) => (output += data))
    child.stderr.on('data', (data) => (output += data))
    child.on('error', reject)
    child.on('close', (status) => resolve({ status, output }))
  })
}
