import { defineCommand } from '../command.js'
import { type DoctorReport, examine } from '../doctor-checks.js'

function cudaLines({ available, reason, emulated, devices }: DoctorReport['cuda']): string[] {
  if (!available) return [`cuda  not available: ${reason}`]
  return devices.map(({ name, capability, memory, driver, runtime, cudnn }, i) => {
    const where = `cuda${i === 0 ? '' : `:${i}`}`.padEnd(6)
    const versions = `driver for CUDA ${driver}, backend built with ${runtime}, cuDNN ${cudnn}`
    return `${where}${name}${emulated ? ', emulated on the CPU' : ''}, compute capability ${capability}, ${(memory / 2 ** 30).toFixed(1)} GiB; ${versions}`
  })
}

export const command = defineCommand({
  name: 'doctor',
  about: 'Checks that everything a search needs works on this machine. The exit code is 1 when something does not.',
  options: {},
  async run({ output }) {
    const report = await examine()
    output.result(report, () => {
      const { cpu, cuda, checks } = report
      const width = Math.max(...checks.map(({ name }) => name.length))
      const lines = checks.map(({ name, ok, detail }) => `${ok ? output.style('green', '✔') : output.style('red', '✘')} ${name.padEnd(width)}  ${detail}`)
      return [...lines, '', `cpu   ${cpu.model}, ${cpu.features.join(' ')}`, ...cudaLines(cuda)].join('\n')
    })
    return report.checks.every(({ ok }) => ok) ? 0 : 1
  },
})
