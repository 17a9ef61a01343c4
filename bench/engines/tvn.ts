import { createTunedPlan } from '../../lib/model/tuning.js'
import { nativeDevice } from '../../lib/device.js'
import { native } from '../../lib/native.js'
import type { Contender } from '../contenders.js'
import { clipsOf, graphOf, weightsOf } from '../subjects.js'
import type { Running } from './engine.js'

/** Our engine. */
export async function load(contender: Contender): Promise<Running> {
  return contender.task === 'inference' ? loadPlan(contender) : loadTrainer(contender)
}

async function loadPlan({ network, precision, threads, device, batch }: Contender): Promise<Running> {
  const graph = graphOf(network)
  const plan = await createTunedPlan(graph, weightsOf(graph), { batch, threads, precision, ...nativeDevice(device ?? 'cpu'), search: batch === 1 })
  const clips = clipsOf(graph, batch)
  const run = () => plan.run(clips)
  return { output: run, run }
}

async function loadTrainer({ network, threads, device, batch }: Contender): Promise<Running> {
  const graph = graphOf(network)
  const recipe = { task: 'single-label', labelSmoothing: 0.1, dropout: 0.2, momentum: 0.9, nesterov: true, weightDecay: 1e-4, seed: 1 } as const
  const trainer = await native().createTrainer(graph, Object.fromEntries(weightsOf(graph)), { ...recipe, threads, ...nativeDevice(device ?? 'cpu') })
  const clips = clipsOf(graph, batch)
  const classes = (graph.tensors[graph.output] as readonly number[])[3] as number
  const labels = Int32Array.from({ length: batch }, (_, i) => i % classes)
  const step = () => trainer.step(clips, batch, labels, 1e-3)
  return { output: async () => [(await step()).loss], run: step }
}
