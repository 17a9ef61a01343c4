// `npm run lint`: generated files, types, oxlint, and the format of TypeScript (biome) and C++ (clang-format).
// `--format-native` rewrites the C++ files instead of checking anything.
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)))
process.chdir(root)
const bin = (name) => path.join('node_modules', '.bin', name)

const sources = fs
  .readdirSync('native', { recursive: true })
  .filter((file) => /\.(cpp|h|inl)$/.test(file))
  .map((file) => path.join('native', file))
const clangFormat = ['clang-format', 'clang-format-14'].find((name) => !spawnSync(name, ['--version']).error)

if (process.argv.includes('--format-native')) {
  if (!clangFormat) {
    console.error('clang-format is missing: apt-get install clang-format')
    process.exit(1)
  }
  process.exit(spawnSync(clangFormat, ['-i', ...sources], { stdio: 'inherit' }).status)
}

/** @type {[name: string, program: string, args: string[]][]} */
const checks = [
  ['generated files', process.execPath, ['scripts/generate-ops.mjs', '--check']],
  ['types', bin('tsc'), ['--noEmit', '-p', 'tsconfig.all.json']],
  ['oxlint', bin('oxlint'), ['--type-aware', '--tsconfig', 'tsconfig.all.json', 'lib', 'bench', 'test', 'scripts']],
  ['format of TypeScript', bin('biome'), ['format']],
  ['format of C++', clangFormat ?? 'clang-format', ['--dry-run', '--Werror', ...sources]],
]
let failed = 0
for (const [name, program, args] of checks) {
  const { status, error } = spawnSync(program, args, { stdio: 'inherit' })
  if (status === 0) console.log(`ok    ${name}`)
  else {
    failed++
    console.log(`FAIL  ${name}${error ? `: ${program} is missing (apt-get install clang-format)` : ''}`)
  }
}
process.exit(failed > 0 ? 1 : 0)
