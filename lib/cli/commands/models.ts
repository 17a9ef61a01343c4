import { TvnError } from '../../errors.js'
import { openNetwork } from '../../model/source.js'
import { blocksTable, diagram, layersTable } from '../../network/diagram.js'
import { Network } from '../../network/network.js'
import { writeReleased } from '../../network/released.js'
import { formatCount, textTable } from '../../text-table.js'
import { defineCommand, flag } from '../command.js'
import { classesFor, classesOption } from '../shared-options.js'
import { oneOf } from '../values.js'

export const command = defineCommand({
  name: 'models',
  about: 'Lists the networks that were released with the paper, or shows one network: its blocks and its layers with shapes and costs.',
  examples: ['tvn models', 'tvn models show tvn-1', 'tvn models show best.safetensors --json', 'tvn models show best.safetensors --released'],
  operands: [
    { name: 'show', about: 'show one network', optional: true },
    { name: 'NAME', about: 'preset, model file, Network JSON or released JSON', optional: true },
  ],
  options: { classes: classesOption, released: flag("print the network in the JSON of the paper's authors, which has no head and rounds fps") },
  async run({ options, operands: [action, name], output }) {
    if (action === undefined && !options.released) {
      const list = Network.presets.map((preset) => describe(Network.preset(preset), options.classes ?? (Network.presetClasses(preset) as number)))
      output.result(list, () => listText(list))
      return
    }
    oneOf('show')(action ?? '')
    if (name === undefined) throw new TvnError('ERR_ARGUMENT', `the name of a network is missing, expected ${Network.presets.join(', ')} or a file`)
    const source = await openNetwork(name)
    if (options.released) {
      const released = writeReleased(source.network)
      output.result(released, () => JSON.stringify(released, null, 2))
      return
    }
    const classes = classesFor(source, options.classes)
    const { layers } = source.network.cost({ classes })
    const shown = { ...describe(source.network, classes), layers, network: source.network.toJSON() }
    output.result(shown, () => [diagram(source.network, { classes }), blocksTable(source.network), layersTable(source.network, classes)].join('\n\n'))
  },
})

function describe(network: Network, classes: number) {
  const { params, macs } = network.cost({ classes })
  return { name: network.name, streams: network.streams, classes, params, macs }
}

type Description = ReturnType<typeof describe>

function listText(list: readonly Description[]): string {
  const columns = ['name', 'frames', 'size', 'fps', 'classes', 'params', 'MACs'].map((title, i) => (i === 0 ? title : ({ title, align: 'right' } as const)))
  const rows = list.map(({ name, streams: [{ frames, size, fps }], classes, params, macs }) => [
    name,
    frames,
    size,
    Number(fps.toFixed(2)),
    classes,
    formatCount(params),
    formatCount(macs),
  ])
  return textTable(columns, rows)
}
