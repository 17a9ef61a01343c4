import { type Column, formatCount, pad, textTable, textWidth } from '../text-table.js'
import type { LayerCost } from './cost.js'
import { shapeOf } from './cost.js'
import type { TensorShape } from './graph.js'
import { lower } from './lower.js'
import type { Network } from './network.js'
import type { Block } from './schema.js'

/** Widest line of a diagram, in columns. */
const maxWidth = 100

interface Box {
  readonly title: string
  readonly lines: readonly string[]
  /** Written beside the box. */
  readonly notes: readonly string[]
  /** Draws a line around the box. */
  readonly skip: boolean
}

/**
 * A network drawn as boxes from clip to classes, at most 100 columns wide: the layers that each block really has, the shape it hands on
 * (frames × height × width × channels), and its share of the multiply-accumulates. A skip is a line around its block.
 */
export function diagram(network: Network, { classes }: { classes: number }): string {
  const { params, macs, layers } = network.cost({ classes })
  const [{ frames, size, fps }] = network.streams
  const share = (belongs: (layer: LayerCost) => boolean): string => {
    const own = layers.filter(belongs)
    const sum = (key: 'params' | 'macs') => own.reduce((total, layer) => total + layer[key], 0)
    return `${formatCount(sum('params'))} parameters, ${percent(sum('macs'), macs)} of MACs`
  }
  const parts = describeBlocks(network)
  const boxes: Box[] = [
    { title: 'clip', lines: [`${frames} ${frames === 1 ? 'frame' : 'frames'} at ${short(fps)} fps`], notes: [shapeText([frames, size, size, 3])], skip: false },
    ...parts.map(({ lines, output, skip, repeats }, i) => ({
      title: `block ${i}${repeats > 1 ? ` × ${repeats}` : ''}`,
      lines,
      notes: [shapeText(output), share((layer) => layer.name.startsWith(`blocks.${i}.`))],
      skip,
    })),
    {
      title: 'head',
      lines: [headText(network)],
      notes: [`${classes} ${classes === 1 ? 'class' : 'classes'}`, share((layer) => layer.name === 'head')],
      skip: false,
    },
  ]
  const total = `: ${formatCount(params)} parameters, ${formatCount(macs, 'MACs')} a clip`
  return [cut(network.name, maxWidth - total.length) + total, ...draw(boxes)].join('\n')
}

function draw(boxes: readonly Box[]): string[] {
  const notesWidth = Math.max(...boxes.flatMap(({ notes }) => notes.map(textWidth)))
  const widest = Math.max(...boxes.flatMap(({ title, lines }) => [textWidth(title) + 2, ...lines.map(textWidth)]))
  // around the text: a border and a space on both sides, two columns for the skip, two before the notes
  const width = Math.min(widest, maxWidth - notesWidth - 8)
  const joint = Math.floor(width / 2) + 1
  return boxes.flatMap(({ title, lines, notes, skip }, i) => {
    const body = lines.flatMap((line) => wrap(line, width))
    while (body.length < notes.length) body.push('')
    const above = i === 0 ? '─' : '┴'
    const below = i === boxes.length - 1 ? '─' : '┬'
    const top = `─ ${title} `.padEnd(width + 2, '─')
    return [
      `┌${textWidth(title) + 3 > joint ? top : `${top.slice(0, joint)}${above}${top.slice(joint + 1)}`}┐${skip ? '─╮' : ''}`,
      ...body.map((line, k) => `│ ${pad(line, width)} │${skip ? ' │' : '  '}  ${notes[k] ?? ''}`.trimEnd()),
      `└${'─'.repeat(joint)}${below}${'─'.repeat(width + 1 - joint)}┘${skip ? '─╯' : ''}`,
    ]
  })
}

/** The genes of every block and the shape it hands on, one block a row; layers as kernel/stride. */
export function blocksTable(network: Network): string {
  const right = (title: string): Column => ({ title, align: 'right' })
  const parts = describeBlocks(network)
  return textTable(
    [right('block'), 'spatial', 'temporal', right('filters'), 'expand', right('repeats'), 'skip', 'squeeze', 'gate', 'non-local', 'activation', 'output'],
    network.blocks.map((block, i) => [
      i,
      `${block.spatialType} ${block.spatialKernel}/${block.spatialStride}`,
      `${block.temporalType} ${block.temporalKernel}/${block.temporalStride}`,
      block.filters,
      block.expand === 0 ? '–' : `× ${block.expand}${block.invertedBottleneck ? ' inverted' : ''}`,
      block.repeats,
      block.skip ? 'yes' : '–',
      block.squeeze === 0 ? '–' : short(block.squeeze),
      block.contextGate ? 'yes' : '–',
      block.nonLocal === 0 ? '–' : block.nonLocal,
      activationsText(block),
      shapeText(parts[i]?.output),
    ]),
  )
}

/** Every layer that multiplies, with shapes, parameters and multiply-accumulates, and their sums. */
export function layersTable(network: Network, classes: number): string {
  const { params, macs, layers } = network.cost({ classes })
  const right = (title: string): Column => ({ title, align: 'right' })
  const numbers = (cost: { params: number; macs: number }) => [formatCount(cost.params), formatCount(cost.macs), percent(cost.macs, macs)]
  return textTable(
    ['layer', 'op', 'input', 'output', right('parameters'), right('MACs'), right('share')],
    [
      ...layers.map((layer) => [layer.name, layer.op, shapeText(layer.input), shapeText(layer.output), ...numbers(layer)]),
      ['total', '', '', '', ...numbers({ params, macs })],
    ],
  )
}

interface BlockDescription {
  /** The first copy's layers. */
  readonly lines: readonly string[]
  readonly output: TensorShape
  readonly skip: boolean
  readonly repeats: number
}

/** What blocks really hold: genes of layers that are left out are not told. */
function describeBlocks(network: Network): BlockDescription[] {
  const graph = lower(network, 1)
  const has = (name: string): boolean => graph.tensors[name] !== undefined
  return network.blocks.map((block, i) => {
    const first = `blocks.${i}.0`
    const k = block.spatialKernel
    const narrow = [
      ...(has(`${first}.bottleneck`) ? [`1×1 → ${channels(shapeOf(graph, `${first}.bottleneck`))}`] : []),
      ...(has(`${first}.spatial`)
        ? [`${block.spatialType} ${k}×${k}${strideText(block.spatialStride)}${widthText(block.spatialType, shapeOf(graph, `${first}.spatial`))}`]
        : []),
      ...(has(`${first}.temporal`) ? [`${temporalText(block)}${strideText(block.temporalStride)}`] : []),
    ]
    const wide = [
      ...(has(`${first}.expand`) ? [`1×1 → ${channels(shapeOf(graph, `${first}.expand`))}`] : []),
      ...(block.squeeze > 0 ? [`squeeze ${channels(shapeOf(graph, `${first}.squeeze.reduce`))}`] : []),
      ...(block.contextGate ? ['gate'] : []),
      ...(block.nonLocal > 0 ? [`non-local ${block.nonLocal}`] : []),
      ...(has(`${first}.project`) ? [`1×1 → ${channels(shapeOf(graph, `${first}.project`))}`] : []),
      activationsText(block),
    ]
    const copies = Array.from({ length: block.repeats }, (_, r) => `blocks.${i}.${r}`)
    return {
      lines: [narrow, wide].filter((parts) => parts.length > 0).map((parts) => parts.join(separator)),
      output: shapeOf(graph, `${copies.at(-1)}.activation`),
      skip: copies.some((copy) => has(`${copy}.shortcut`)),
      repeats: block.repeats,
    }
  })
}

const separator = ' · '

function temporalText({ temporalType, temporalKernel }: Block): string {
  return temporalType === '1d' ? `temporal ${temporalKernel}` : `temporal ${temporalType} ${temporalKernel}`
}

function strideText(stride: number): string {
  return stride === 1 ? '' : ` /${stride}`
}

function widthText(type: Block['spatialType'], shape: TensorShape): string {
  return type === 'std' || type === 'depth' ? ` → ${channels(shape)}` : ''
}

function headText({ head }: Network): string {
  return head === 'mean' ? `mean${separator}dropout${separator}dense` : `mean of frames${separator}dropout${separator}dense${separator}temporal softmax`
}

/** One name where all three are the same. */
function activationsText({ spatialActivation, temporalActivation, activation }: Block): string {
  const names = [spatialActivation, temporalActivation, activation]
  return new Set(names).size === 1 ? activation : names.join('/')
}

function channels(shape: TensorShape): number {
  return shape[3]
}

function shapeText(shape: TensorShape | undefined): string {
  return shape === undefined ? '' : shape.join('×')
}

function percent(part: number, whole: number): string {
  const rounded = whole === 0 ? 0 : Math.round((100 * part) / whole)
  return rounded === 0 && part > 0 ? '< 1 %' : `${rounded} %`
}

/** A number with at most three decimals. */
function short(x: number): string {
  return String(Number(x.toFixed(3)))
}

function cut(text: string, width: number): string {
  return textWidth(text) <= width ? text : `${[...text].slice(0, width - 1).join('')}…`
}

/** Breaks a line between its parts. */
function wrap(line: string, width: number): string[] {
  const lines: string[] = []
  for (const part of line.split(separator)) {
    const last = lines.at(-1)
    const joined = last === undefined ? part : `${last}${separator}${part}`
    if (last !== undefined && textWidth(joined) <= width) lines[lines.length - 1] = joined
    else lines.push(part)
  }
  return lines
}
