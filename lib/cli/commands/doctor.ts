import { defineCommand } from '../command.js'
import { examine } from '../doctor-checks.js'

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
      return [...lines, '', `cpu   ${cpu.model}, ${cpu.features.join(' ')}`, `cuda  ${cuda.available ? 'available' : 'not available'}: ${cuda.reason}`].join(
        '\n',
      )
    })
    return report.checks.every(({ ok }) => ok) ? 0 : 1
  },
})
