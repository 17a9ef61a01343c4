import * as tf from '@tensorflow/tfjs'
import type { Graph, TensorShape } from '../../network/graph.js'
import { GraphBuilder, type Value } from '../../network/graph-builder.js'
import { runGraph } from '../graph.js'
import { type Kwargs, type LayerArgs, type LayerVariable, type NormArgs, shapeOf, tensorOf, VideoLayer } from './video-layer.js'

/** An extent that is not known when a layer is built: large enough for every part of a block to be there. */
const anyExtent = 64

/** A layer that is a part of a network's graph: the graph says which weights it has, and our kernels run it. */
export abstract class GraphLayer extends VideoLayer {
  readonly #graphs = new Map<string, Graph>()
  readonly #variables = new Map<string, LayerVariable>()
  protected readonly kernelInitializer = tf.initializers.heUniform({})

  constructor(args: LayerArgs & NormArgs = {}) {
    super(args)
  }

  /** The ops that make y of x; names of parameters are those of the weights. */
  protected abstract lower(builder: GraphBuilder, x: Value): Value

  /** Names of its weights, in their order: those that are trained come first. */
  get parameterNames(): string[] {
    const names = new Map([...this.#variables].map(([name, variable]) => [variable.id, name]))
    return this.weights.map(({ id }) => names.get(id) as string)
  }

  #graph(shape: TensorShape): Graph {
    const key = shape.join()
    let graph = this.#graphs.get(key)
    if (!graph) {
      const builder = new GraphBuilder('x', shape)
      graph = builder.finish(this.lower(builder, builder.input))
      this.#graphs.set(key, graph)
    }
    return graph
  }

  override build(inputShape: tf.Shape | tf.Shape[]): void {
    const [, t, h, w, c] = shapeOf(inputShape)
    if (c === null || c === undefined) throw new Error('The channel dimension of the input should be defined. Found None')
    const graph = this.#graph([t ?? anyExtent, h ?? anyExtent, w ?? anyExtent, c])
    for (const [name, shape] of Object.entries(graph.parameters)) this.#variables.set(name, this.#add(name, shape))
    this.buildFor(c)
  }

  #add(name: string, shape: readonly number[]): LayerVariable {
    const leaf = name.slice(name.lastIndexOf('.') + 1)
    const initializer = leaf === 'weight' ? this.kernelInitializer : leaf === 'gamma' || leaf === 'variance' ? tf.initializers.ones() : tf.initializers.zeros()
    return this.addWeight(name, [...shape], 'float32', initializer, undefined, leaf !== 'mean' && leaf !== 'variance')
  }

  override call(inputs: tf.Tensor | tf.Tensor[], kwargs: Kwargs): tf.Tensor {
    return tf.tidy(() => {
      const x = tensorOf(inputs)
      this.invokeCallHook(inputs, kwargs)
      const variable = (name: string): LayerVariable => {
        const found = this.#variables.get(name)
        if (!found) throw new Error(`${this.name}: built for other frames than [${x.shape.slice(1, 4).join(', ')}]: it has no weight ${name}.`)
        return found
      }
      return runGraph(this.#graph(x.shape.slice(1) as unknown as TensorShape), x, {
        parameter: (name) => variable(name).read(),
        normalize: ({ parameters: { gamma, beta, mean, variance }, function: f }, value) => {
          const norm = { gamma: variable(gamma), beta: variable(beta), mean: variable(mean), variance: variable(variance) }
          return this.normalize(value, norm, kwargs?.training ?? false, f)
        },
      })
    })
  }

  override computeOutputShape(inputShape: tf.Shape | tf.Shape[]): tf.Shape {
    const [n, ...extents] = shapeOf(inputShape)
    const graph = this.#graph(extents.map((extent) => extent ?? anyExtent) as unknown as TensorShape)
    const shape = graph.tensors[graph.output] as readonly number[]
    return [n as number, ...shape.map((extent, i) => (extents[i] === null ? null : extent))] as tf.Shape
  }
}
