// What networks under test have between them.

/** Gene → value → in how many blocks it is; frames, size, blocks and head: in how many networks. Frames and sizes are counted by doublings. */
export function geneCounts(cases) {
  const genes = new Map()
  const count = (gene, value) => {
    if (!genes.has(gene)) genes.set(gene, new Map())
    genes.get(gene).set(value, (genes.get(gene).get(value) ?? 0) + 1)
  }
  const doubling = (n) => 2 ** Math.floor(Math.log2(n))
  for (const {
    network: { streams, blocks, head },
  } of cases) {
    count('frames from', doubling(streams[0].frames))
    count('size from', doubling(streams[0].size))
    count('blocks', blocks.length)
    count('head', head)
    for (const { squeeze, ...genesOfBlock } of blocks) {
      for (const [gene, value] of Object.entries(genesOfBlock)) count(gene, value)
      count('squeeze', [0, 0.001, 1].includes(squeeze) ? squeeze : 'between')
    }
  }
  for (const [gene, counts] of genes) genes.set(gene, new Map([...counts].sort(([a], [b]) => a - b || 0)))
  return genes
}

/** Corner case of a shape → networks that have it. */
export function cornersOf(cases) {
  // gates' vectors are of one pixel too: a map is what a layer with a kernel or a stride reads
  const layers = cases.map(({ graph: { ops, tensors } }) =>
    ops
      .filter(({ kernel, stride }) => kernel !== undefined && [...kernel, ...stride].some((n) => n > 1))
      .map(({ name, kernel, stride, inputs }) => ({ name, kernel, stride, map: tensors[inputs[0]] })),
  )
  const networksWith = (test) => layers.filter((list) => list.some(test)).length
  return new Map([
    ['one frame', cases.filter(({ network }) => network.streams[0].frames === 1).length],
    ['a map of one pixel', networksWith(({ map }) => map[1] === 1)],
    ['a stride over one pixel', networksWith(({ map, stride }) => map[1] === 1 && stride[1] > 1)],
    [
      "a shortcut's stride over one pixel of several frames",
      networksWith(({ name, map, stride }) => name.endsWith('.shortcut') && map[0] > 1 && map[1] === 1 && stride[1] > 1),
    ],
    ['a spatial kernel larger than the map', networksWith(({ map, kernel }) => kernel[1] > map[1])],
    ['a temporal kernel larger than the clip', networksWith(({ map, kernel }) => kernel[0] > map[0])],
  ])
}
