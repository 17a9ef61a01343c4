// Graphs as text, for programs that have no Node: the format that native/test/networks/read_networks.h reads.

/**
 * One network in lines. `seed` is that of its weights and clips, `repeat` the command that makes it again, `cost` what Network.cost says of it,
 * for readers to check their own figures with.
 */
export function networkText({ name, seed, repeat, cost, graph: { input, output, tensors, parameters, ops } }) {
  const fields = (object) => Object.entries(object).map(([key, value]) => `${key}=${value}`)
  return [
    `network ${name} ${seed}`,
    `repeat ${repeat}`,
    ...(cost ? [`cost ${cost.macs} ${cost.params}`] : []),
    `input ${input} ${tensors[input].join(' ')}`,
    ...Object.entries(parameters).map(([parameter, extents]) => `parameter ${parameter} ${extents.join(' ')}`),
    ...ops.map(({ op, parameters: slots, ...rest }) => `op ${op} ${fields({ ...rest, ...slots }).join(' ')}`),
    `output ${output}\n`,
  ].join('\n')
}

/** A preset in its own size, with the classes of the data that it was searched on. */
export function presetText(Network, preset) {
  const network = Network.preset(preset)
  const classes = { classes: Network.presetClasses(preset) }
  return networkText({
    name: preset,
    seed: 1,
    repeat: 'node scripts/cuda-networks.mjs --write',
    cost: network.cost(classes),
    graph: network.graph(classes),
  })
}
