import { createHash } from 'node:crypto'
import { checkCount, checkOptions, wrong } from '../check.js'
import { TvnError } from '../errors.js'
import { didYouMean } from '../validate.js'
import { type Cost, costOf, volume } from './cost.js'
import type { Graph } from './graph.js'
import { lower } from './lower.js'
import { type PresetName, presetClasses, presets } from './presets.js'
import { type Block, type Genes, type Head, type NetworkJson, networkFormat, parseNetwork, type Stream } from './schema.js'

/**
 * What can be built at all, whatever the machine: elements of one activation of one clip, and parameters.
 * 4 GiB and 2 GiB as f32; the largest released network has 109 M parameters and 8 M elements.
 */
export const buildLimits = { tensor: 2 ** 30, parameters: 2 ** 29 } as const

export interface ClassCount {
  /** How many classes the head tells apart, 1 to 100,000. */
  readonly classes: number
}

/**
 * A video classification network: the genes of "Tiny Video Networks", without weights. Immutable.
 *
 * @example
 * const { params, macs } = Network.preset('tvn-1').cost({ classes: 339 })
 */
export class Network implements Genes {
  /** Names of the released networks. */
  static readonly presets = Object.freeze(Object.keys(presets) as PresetName[])

  readonly name: string
  /** One stream: frames, size in pixels, frames a second. */
  readonly streams: readonly [Stream]
  readonly blocks: readonly Block[]
  readonly head: Head

  private constructor({ name, streams, blocks, head }: NetworkJson) {
    this.name = name
    this.streams = Object.freeze([Object.freeze({ ...streams[0] })] as const)
    this.blocks = Object.freeze(blocks.map((block) => Object.freeze({ ...block })))
    this.head = head
    Object.freeze(this)
  }

  /** A released network by name. Throws ERR_ARGUMENT for a name that is none of `Network.presets`. */
  static preset(name: string): Network {
    if (typeof name !== 'string') throw wrong('name', 'a text', name)
    if (!isPreset(name)) throw new TvnError('ERR_ARGUMENT', `there is no network named "${name}": ${didYouMean(name, Network.presets)}`)
    return new Network(presets[name])
  }

  /** Classes of the data that a preset was searched on; undefined for other names. */
  static presetClasses(name: string): number | undefined {
    return isPreset(name) ? presetClasses[name] : undefined
  }

  /**
   * A network from Network JSON: a value or its text.
   * Throws ERR_NETWORK_INVALID with the path, what is allowed there and what came.
   */
  static parse(json: unknown): Network {
    return new Network(parseNetwork(json))
  }

  /** The Network JSON, complete and in canonical key order. */
  toJSON(): NetworkJson {
    return { format: networkFormat, name: this.name, streams: this.streams, blocks: this.blocks, head: this.head }
  }

  /** The same genes under another name. */
  rename(name: string): Network {
    return Network.parse({ ...this.toJSON(), name })
  }

  /** SHA-256 (hex) of the genes; the name has no part in it. Equal genes, equal hash, on every machine. */
  hash(): string {
    const { streams, blocks, head } = this
    return createHash('sha256').update(JSON.stringify({ streams, blocks, head })).digest('hex')
  }

  /** Whether both compute the same function of the same frames: genes may differ where they have no effect. */
  computesLike(other: Network): boolean {
    if (!(other instanceof Network)) throw wrong('other', 'a Network', other)
    const phenotype = ({ streams, blocks, head }: Network): string => {
      const { tensors, ops } = lower({ streams, blocks, head }, 1)
      return JSON.stringify([streams, tensors, ops])
    }
    return phenotype(this) === phenotype(other)
  }

  /** Trainable parameters, multiply-accumulates of one clip, and both by layer. Also for networks too large to be built. */
  cost(options: ClassCount): Cost {
    return costOf(this.#lower(options))
  }

  /**
   * The network as ops over named tensors. Throws ERR_NETWORK_INVALID where a tensor or the parameters exceed `buildLimits`,
   * before anything is allocated.
   */
  graph(options: ClassCount): Graph {
    const graph = this.#lower(options)
    const problem = tooLarge(graph)
    if (problem !== undefined) {
      throw new TvnError('ERR_NETWORK_INVALID', `network ${this.name} is too large to be built: ${problem}`, {
        hint: 'fewer frames, a smaller size, fewer filters or a smaller expand',
      })
    }
    return graph
  }

  /** Whether `graph` would accept it. */
  isBuildable(): boolean {
    return tooLarge(this.#lower({ classes: 1 })) === undefined
  }

  #lower(options: ClassCount): Graph {
    checkOptions('options', options, { classes: true })
    return lower(this, checkCount('classes', options.classes, 1, 100_000))
  }
}

function isPreset(name: string): name is PresetName {
  return Object.hasOwn(presets, name)
}

function tooLarge({ tensors, parameters }: Graph): string | undefined {
  for (const [name, shape] of Object.entries(tensors)) {
    if (volume(shape) > buildLimits.tensor) return `${name} has ${shape.join(' × ')} elements a clip, more than ${buildLimits.tensor}`
  }
  const total = Object.values(parameters).reduce((sum, shape) => sum + volume(shape), 0)
  return total > buildLimits.parameters ? `${total} parameters, more than ${buildLimits.parameters}` : undefined
}
