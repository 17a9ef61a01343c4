import { type NativeLayer, type NativeLayerOptions, native } from '../native.js'

/** Layers that are kept, and bytes of their weights: what was not used for the longest time goes first. */
const mostLayers = 4096
const mostBytes = 2 ** 29
/** Layers of one kind with weights of their own. */
const mostCopies = 16

export type LayerOptions = Omit<NativeLayerOptions, 'bias' | 'training' | 'threads'> & { readonly bias?: boolean; readonly training?: boolean }

/** TensorFlow.js's identity of a tensor's data. */
export type DataId = object

interface Copy {
  readonly key: string
  readonly layer: NativeLayer
  readonly bytes: number
  /** Whose weights it was called with last: where these come again, they are packed already. The layer itself makes sure that they are. */
  weights: WeakRef<DataId> | undefined
}

/**
 * Native layers by what they compute. They keep packed weights and share scratch, so that a second call with the same shapes allocates
 * nothing, and one with the same weights packs nothing.
 */
export class NativeLayers {
  #threads: number
  /** By key; null where our kernels cannot do it. */
  readonly #layers = new Map<string, Copy[] | null>()
  /** In the order of their last use. */
  readonly #used = new Set<Copy>()
  #bytes = 0

  constructor(threads: number) {
    this.#threads = threads
  }

  get threads(): number {
    return this.#threads
  }
  /** Layers are made anew. */
  set threads(threads: number) {
    if (threads === this.#threads) return
    for (const copy of this.#used) this.#drop(copy)
    this.#layers.clear()
    this.#threads = threads
  }

  /** Null where our kernels cannot do it. */
  find(options: LayerOptions): NativeLayer | null {
    return this.#find(options)?.layer ?? null
  }

  /** y = op(x) with these weights. `isAlive` says of other tensors whether they may come again. False where our kernels cannot do it. */
  forward(
    options: LayerOptions,
    x: readonly Float32Array[],
    weights: readonly (Float32Array | null)[],
    weightsId: DataId,
    y: Float32Array,
    isAlive: (id: DataId) => boolean,
  ): boolean {
    const copy = this.#find(options, (copies) => {
      const gone = ({ weights: of }: Copy) => {
        const id = of?.deref()
        return id === undefined || !isAlive(id)
      }
      return copies.find(({ weights: of }) => of?.deref() === weightsId) ?? copies.find(gone)
    })
    if (!copy) return false
    copy.weights = new WeakRef(weightsId)
    copy.layer.forward(x, weights, y)
    return true
  }

  /** One of the copies that there are, by default the first, else a new one; as the one that was used last. */
  #find(options: LayerOptions, choose = (copies: readonly Copy[]): Copy | undefined => copies[0]): Copy | undefined {
    const key = JSON.stringify(options)
    const copies = this.#layers.get(key)
    if (copies === null) return undefined
    const copy = choose(copies ?? []) ?? (copies?.length === mostCopies ? copies[0] : this.#create(key, options))
    if (copy) {
      this.#used.delete(copy)
      this.#used.add(copy)
    }
    return copy
  }

  #create(key: string, options: LayerOptions): Copy | undefined {
    let layer: NativeLayer
    try {
      layer = native().createLayer({ bias: false, training: false, ...options, threads: this.#threads })
    } catch (error) {
      if ((error as { code?: unknown }).code !== 'ERR_ARGUMENT') throw error
      this.#layers.set(key, null)
      return undefined
    }
    const copy: Copy = { key, layer, bytes: layer.bytes, weights: undefined }
    this.#layers.set(key, [...(this.#layers.get(key) ?? []), copy])
    this.#bytes += copy.bytes
    for (const oldest of this.#used) {
      if (this.#used.size < mostLayers && this.#bytes <= mostBytes) break
      this.#drop(oldest)
    }
    return copy
  }

  #drop(copy: Copy): void {
    copy.layer.dispose()
    this.#used.delete(copy)
    this.#bytes -= copy.bytes
    const others = this.#layers.get(copy.key)?.filter((other) => other !== copy) ?? []
    if (others.length > 0) this.#layers.set(copy.key, others)
    else this.#layers.delete(copy.key)
  }
}
