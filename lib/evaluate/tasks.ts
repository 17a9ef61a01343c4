import { createHash } from 'node:crypto'
import { TvnError } from '../errors.js'
import { limitsByDevice, parseLimit } from '../latency/limit.js'
import type { LatencyReport, MeasureProgress } from '../latency/measure.js'
import { Inference } from '../model/inference.js'
import { readModel, writeModel } from '../model/model-file.js'
import { native } from '../native.js'
import { precisionOn } from '../precision.js'
import { Network } from '../network/network.js'
import { Random } from '../random.js'
import { defaultPreprocessing } from '../task.js'
import { evaluateWeights } from '../train/evaluate.js'
import { fit } from '../train/fit.js'
import { initialize } from '../train/initialize.js'
import { fitnessOf, type Metrics } from '../train/metrics.js'
import { defaultRecipe } from '../train/recipe.js'
import { version } from '../version.js'
import type { Setup, StageProgress, TaskName, Tasks, TrainingTask } from './messages.js'
import type { TaskContext } from './serve.js'

type TaskHandlers = { readonly [K in TaskName]: (task: Tasks[K]['task'], context: TaskContext) => Promise<Tasks[K]['result']> }
type Weights = ReadonlyMap<string, Float32Array>
interface Trained {
  readonly weights: Weights
  readonly skipped: number
}

/** How long the peak of the machine is measured. */
const peakMilliseconds = 300

/** What the workers of a search do. */
export function createTaskHandlers({ dataset }: Setup): TaskHandlers {
  const { labels, task, flip, splits } = dataset

  const trainOn = async (network: Network, how: TrainingTask, initial: Weights | undefined, { gate, onProgress }: TaskContext): Promise<Trained> => {
    const { seed, iterations, device, threads } = how
    const { weights, history } = await fit({
      network,
      labels,
      task,
      samples: splits.train,
      recipe: defaultRecipe,
      iterations,
      seed,
      device,
      threads,
      flip,
      initial,
      gate,
      onProgress: ({ iteration, loss, skipped }) => onProgress({ stage: 'train', fraction: iteration / iterations, loss, skipped }),
    })
    return { weights, skipped: history.reduce((sum, entry) => sum + entry.skipped, 0) }
  }

  const evaluateOn = (
    split: 'val' | 'test',
    network: Network,
    weights: Weights,
    { device, threads }: TrainingTask,
    { gate, onProgress }: TaskContext,
  ): Promise<Metrics> => {
    const stage: StageProgress['stage'] = split === 'val' ? 'validate' : 'test'
    return evaluateWeights({
      network,
      weights,
      labels,
      task,
      samples: splits[split],
      preprocessing: defaultPreprocessing,
      device,
      threads,
      gate,
      onProgress: ({ done, total }) => onProgress({ stage, fraction: done / total }),
    })
  }

  const save = async (file: string, network: Network, weights: Weights, notes: Readonly<Record<string, string>>): Promise<void> => {
    await writeModel(file, {
      network,
      labels,
      task,
      preprocessing: defaultPreprocessing,
      weights,
      notes: { engine: version, recipe: JSON.stringify(defaultRecipe), ...notes },
    })
  }

  return {
    async measure({ network: json, classes, device: fallback, limits, maxSeconds, weights: file }, { onProgress }): Promise<LatencyReport> {
      const network = Network.parse(json)
      const graph = network.graph({ classes })
      const weights = file === undefined ? await initialize(graph, Random.seeded(0)) : (await readModel(file)).weights
      const { frames, size } = network.streams[0]
      const reports: LatencyReport[] = []
      for (const [device, on] of limitsByDevice(limits, fallback)) {
        using inference = new Inference(graph, weights, { device, threads: 1, precision: precisionOn(device), search: true })
        const how = { limits: on.map((limit) => parseLimit(limit)), maxSeconds, onProgress: ({ stage }: MeasureProgress) => onProgress({ stage }) }
        const report = await inference.measure([frames, size, size, 3], how)
        reports.push(report)
        if (report.verdict === 'fails') break
      }
      const [first, ...elsewhere] = reports
      return { ...(first as LatencyReport), ...(elsewhere.length > 0 && { elsewhere }) }
    },

    peak: () => native().measurePeak(peakMilliseconds),

    async train({ network: json, file, ...how }, context) {
      const network = Network.parse(json)
      const { weights, skipped } = await trainOn(network, how, undefined, context)
      const metrics = await evaluateOn('val', network, weights, how, context)
      context.onProgress({ stage: 'save' })
      await save(file, network, weights, { metrics: JSON.stringify({ val: metrics }) })
      return { fitness: fitnessOf(metrics), metrics, iterations: how.iterations, weightsHash: hashWeights(weights), ...(skipped > 0 && { skipped }) }
    },

    async finish({ network: json, from, file, ...how }, context) {
      const network = Network.parse(json)
      const trial = await readModel(from.file)
      if (hashWeights(trial.weights) !== from.weightsHash) {
        throw new TvnError('ERR_MODEL_FILE', `${from.file} does not hold the weights that the journal tells of: it was changed after it was written`)
      }
      const { weights, skipped } = how.iterations > 0 ? await trainOn(network, how, trial.weights, context) : { weights: trial.weights, skipped: 0 }
      const validation = await evaluateOn('val', network, weights, how, context)
      const test = splits.test.length > 0 ? await evaluateOn('test', network, weights, how, context) : null
      context.onProgress({ stage: 'save' })
      await save(file, network, weights, { metrics: JSON.stringify({ val: validation, test }) })
      return { fitness: fitnessOf(validation), validation, test, weightsHash: hashWeights(weights), ...(skipped > 0 && { skipped }) }
    },

    async seal({ from, file, notes }) {
      const model = await readModel(from)
      await writeModel(file, { ...model, notes: { ...model.notes, ...notes } })
      return null
    },
  }
}

/** SHA-256 over the names and bytes of the tensors, in the order of their names. */
export function hashWeights(weights: Weights): string {
  const hash = createHash('sha256')
  for (const [name, data] of [...weights].sort(([a], [b]) => (a < b ? -1 : 1))) {
    hash.update(`${name}\0`).update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
  }
  return hash.digest('hex')
}
