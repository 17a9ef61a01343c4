import { type NativeLayer, type NativeLayerOptions, native } from '../native.js'

/** Layers that are kept: a model needs one for every shape and op; what was not used for the longest time goes first. */
const most = 1024
/** Copies of a layer with packed weights of their own. */
const mostCopies = 16

export type LayerOptions = Omit<NativeLayerOptions, 'bias' | 'training' | 'threads'> & { readonly bias?: boolean; readonly training?: boolean }

/** Whose values are packed: TensorFlow.js's identity of a tensor's data, which never changes. */
export type DataId = object

interface Copy {
  readonly layer: NativeLayer
  packed: WeakRef<DataId> | undefined
}

/**
 * Native layers by what they compute. They keep packed weights and scratch, so that a second call with the same shapes allocates nothing,
 * and one with the same weights packs nothing.
 */
export class NativeLayers {
  readonly threads: number
  readonly #layers = new Map<string, Copy[] | null>()

  constructor(threads: number) {
    this.threads = threads
  }

  /** Null where our kernels cannot do it. */
  find(options: LayerOptions): NativeLayer | null {
    return this.#copies(options)?.[0]?.layer ?? null
  }

  /** y = op(x) with these weights. `isAlive` says of other tensors whether they may be used again. False where our kernels cannot do it. */
  forward(
    options: LayerOptions,
    x: readonly Float32Array[],
    weights: readonly (Float32Array | null)[],
    weightsId: DataId,
    y: Float32Array,
    isAlive: (id: DataId) => boolean,
  ): boolean {
    const copies = this.#copies(options)
    if (!copies) return false
    let copy = copies.find(({ packed }) => packed?.deref() === weightsId)
    const pack = copy === undefined
    copy ??= copies.find(({ packed }) => {
      const id = packed?.deref()
      return id === undefined || !isAlive(id)
    })
    if (!copy) {
      if (copies.length < mostCopies) copies.push({ layer: this.#create(options), packed: undefined })
      else copies.push(...copies.splice(0, 1)) // the oldest weights go first
      copy = copies.at(-1) as Copy
    }
    copy.packed = new WeakRef(weightsId)
    copy.layer.forward(x, weights, y, pack)
    return true
  }

  #copies(options: LayerOptions): Copy[] | null {
    const key = JSON.stringify(options)
    let copies = this.#layers.get(key)
    if (copies === undefined) {
      copies = this.#createFirst(options)
      const oldest = this.#layers.keys().next()
      if (this.#layers.size >= most && !oldest.done) this.#layers.delete(oldest.value)
    } else this.#layers.delete(key)
    this.#layers.set(key, copies)
    return copies
  }

  #create(options: LayerOptions): NativeLayer {
    return native().createLayer({ bias: false, training: false, ...options, threads: this.threads })
  }

  #createFirst(options: LayerOptions): Copy[] | null {
    try {
      return [{ layer: this.#create(options), packed: undefined }]
    } catch (error) {
      if ((error as { code?: unknown }).code === 'ERR_ARGUMENT') return null
      throw error
    }
  }
}
