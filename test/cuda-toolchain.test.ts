import { spawnSync } from 'node:child_process'
import { expect } from 'chai'

const root = new URL('..', import.meta.url).pathname

/** The scripts are plain JavaScript without declarations. */
const load = async (name: string) => import(new URL(`../scripts/cuda/${name}.mjs`, import.meta.url).href)
const { architecturesFor, cacheDirectory, isOlder, optionsOfBuild, versionOf } = await load('toolchain')
const { explainFailure, kept, sourcesWithNonFree, whatIsMissing } = await load('debian')

describe('scripts/cuda/toolchain.mjs', () => {
  it('knows which architectures a CUDA builds for', () => {
    expect(versionOf('Cuda compilation tools, release 11.8, V11.8.89')).to.deep.equal([11, 8])
    expect(versionOf('no such thing')).to.equal(undefined)
    expect(
      [
        [11, 4],
        [11, 8],
        [12, 9],
        [13, 0],
      ].map(architecturesFor),
    ).to.deep.equal(['70-real;80', '70-real;80-real;90', '70-real;80-real;90', '75-real;80-real;90'])
    expect(isOlder([11, 3], [11, 4]) && isOlder([10, 9], [11, 4]) && !isOlder([12, 0], [11, 4]) && !isOlder([11, 4], [11, 4])).to.equal(true)
  })

  it('finds the cache folder as the library does', () => {
    expect(cacheDirectory({ TVN_CACHE_DIR: '/a', XDG_CACHE_HOME: '/b' })).to.equal('/a')
    expect(cacheDirectory({ XDG_CACHE_HOME: '/b' })).to.equal('/b/tiny-video-nets')
    expect(cacheDirectory({ XDG_CACHE_HOME: 'b' })).to.match(/\/\.cache\/tiny-video-nets$/)
  })

  it('tells its options from CMake’s', () => {
    expect(optionsOfBuild(['--emulation', '-DA=1'])).to.deep.equal({ emulation: true, toolkit: undefined, flags: ['-DA=1'] })
    expect(optionsOfBuild(['-DA=1', '--toolkit', '/c', '--fresh'])).to.deep.equal({ emulation: false, toolkit: '/c', flags: ['-DA=1', '--fresh'] })
    expect(optionsOfBuild(['--toolkit=/c', '-DA=1'])).to.deep.equal({ emulation: false, toolkit: '/c', flags: ['-DA=1'] })
    expect(optionsOfBuild(['-D', 'A=1', '-G', 'Ninja']).flags).to.deep.equal(['-D', 'A=1', '-G', 'Ninja'])
  })

  it('refuses options that it does not understand', () => {
    for (const args of [['--toolkit'], ['--toolkit='], ['--toolkit', ''], ['--toolkit', '-DA=1'], ['--toolkit', '--emulation']])
      expect(() => optionsOfBuild(args), args.join(' ')).to.throw(/^--toolkit needs the folder of a CUDA, e\.g\. [^\n]+$/)
    expect(() => optionsOfBuild(['--toolkit', '/a', '--toolkit=/b'])).to.throw('--toolkit is given twice')
    expect(() => optionsOfBuild(['--toolkit', '/a', '--emulation'])).to.throw('exclude each other')
    expect(() => optionsOfBuild(['emulation'])).to.throw(/^"emulation" is not known: expected --toolkit FOLDER/)
    const { status, stderr } = spawnSync(process.execPath, ['scripts/build-cuda.mjs', '--toolkit'], { encoding: 'utf8', cwd: root })
    expect([status, stderr.split('\n').length, stderr]).to.deep.equal([1, 2, stderr])
    expect(stderr).to.match(/^build:cuda: --toolkit needs/)
  })

  it('says what is wrong with the folder of kernels in one line', () => {
    for (const folder of ['/nowhere', 'lib/cli']) {
      const { status, stderr } = spawnSync(process.execPath, ['scripts/cuda-resources.mjs', '--kernels', folder], { encoding: 'utf8', cwd: root })
      expect(status).to.equal(2)
      expect(stderr).to.match(/^cuda:resources: there are no \.cu files in [^\n]+\n$/)
    }
    const { status, stderr } = spawnSync(process.execPath, ['scripts/cuda-resources.mjs', '--kernel'], { encoding: 'utf8', cwd: root })
    expect(status).to.equal(2)
    expect(stderr).to.match(/^cuda:resources: Unknown option '--kernel'[^\n]*\n$/)
  })
})

describe('scripts/cuda/debian.mjs', () => {
  it('adds non-free to the machine’s own sources, and takes no others', () => {
    const files = [
      {
        name: 'debian.sources',
        text: `Types: deb deb-src
# a comment
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates bookworm-backports
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main non-free
Enabled: no
`,
      },
      {
        name: 'sources.list',
        text: `deb [arch=amd64 signed-by=/k.gpg] http://old.example/debian bookworm main contrib # here
deb-src http://old.example/debian bookworm main
# deb http://off.example/debian bookworm main
deb http://tools.example/apt bookworm-tools main
deb http://other.example/linux bookworm stable
`,
      },
    ]
    expect(sourcesWithNonFree(files)).to.equal(`types: deb
uris: http://mirror.example/debian
suites: bookworm bookworm-updates
components: main non-free
signed-by: 
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc

types: deb
uris: http://old.example/debian
suites: bookworm
components: main contrib non-free
architectures: amd64
signed-by: /k.gpg
`)
    expect(sourcesWithNonFree([])).to.equal('')
  })

  it('says what is missing where CUDA cannot be fetched', () => {
    expect(whatIsMissing('PRETTY_NAME="Fedora Linux 40"\nID=fedora\n')).to.match(/^Debian 12 .* and this is Fedora Linux 40\. .*CUDA_PATH$/)
    expect(whatIsMissing('PRETTY_NAME="Debian 13"\nID=debian\nVERSION_CODENAME=trixie')).to.contain('this is Debian 13')
    const { status, stderr } = spawnSync(process.execPath, ['scripts/cuda-sm70.mjs', '--fetch'], {
      cwd: new URL('..', import.meta.url),
      env: { PATH: '', TVN_CACHE_DIR: '/nowhere' },
      encoding: 'utf8',
    })
    expect({ status, stderr }).to.deep.include({ status: 1 })
    expect(stderr).to.match(/^CUDA 11\.8 cannot be had: (?:apt-get is missing|Debian 12)/)
  })

  it('explains the usual failures', () => {
    const first = (output: string) => explainFailure(output).split('\n')[0]
    expect(first('Reading…\ntar: include/a.h: Cannot write: No space left on device')).to.match(/^the disk is full: free 1200 MB/)
    expect(first('W: Failed to fetch http://a  Could not connect to a:80\nE: No packages found')).to.equal(
      'the packages cannot be fetched: is there a network?',
    )
    expect(first("W: GPG error: NO_PUBKEY 1\nE: The repository 'a' is not signed.")).to.equal("apt does not trust the packages' signature")
    expect(first('E: Unable to locate package nvidia-cuda-dev')).to.contain('no component non-free')
    expect(first('E: something else')).to.equal('E: something else')
  })

  it('lays a toolkit out as NVIDIA does', () => {
    const places = Object.values<Record<string, string>>(kept).flatMap((members) => Object.values(members))
    expect(places).to.include.members(['bin/nvcc', 'bin/ptxas', 'bin/cudafe++', 'nvvm/bin/cicc', 'nvvm/libdevice', 'include', 'lib64/libcudart_static.a'])
  })
})
