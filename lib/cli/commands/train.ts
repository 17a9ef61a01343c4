import { train } from '../../train/train.js'
import { defineCommand, required, value } from '../command.js'
import { metricsText, warnQuarantined } from '../metrics-text.js'
import { showProgress } from '../progress.js'
import { dataOption, deviceOption, seedOption, threadsOption } from '../shared-options.js'
import { count, oneOf, text } from '../values.js'

export const command = defineCommand({
  name: 'train',
  about: 'Trains one network on labelled videos and writes a model file. Ctrl-C writes it as far as it is trained.',
  examples: [
    'tvn train --network tvn-1 --data videos --epochs 30 --out mine.safetensors',
    'tvn train --network best.json --data demo --iterations 1800 --out best.safetensors',
  ],
  options: {
    network: required(value('FILE|PRESET', 'Network JSON, released JSON, model file or the name of a preset', text)),
    data: dataOption,
    out: required(value('FILE', 'model file to write (.safetensors)', text)),
    epochs: value('N', 'passes over the training videos', count(1, 1_000_000)),
    iterations: value('N', 'batches to train on (default: 2000)', count(1, 1_000_000_000)),
    initFrom: value('FILE', 'model file whose weights are the start wherever name and shape agree', text),
    device: deviceOption,
    precision: value('P', "arithmetic: the device's, f32 on the cpu, f16 on cuda", oneOf('f32', 'f16')),
    threads: threadsOption,
    seed: seedOption,
  },
  async run({ options, output, signal }) {
    const { model, history, skipped, metrics, quarantined } = await train({ ...options, signal, onProgress: showProgress(output) })
    model.dispose()
    warnQuarantined(output, quarantined)
    if (skipped > 0) output.warn(`${skipped} of ${history.at(-1)?.iteration} steps were skipped: a gradient was not finite in half precision`)
    output.result(
      { model: options.out, history, skipped, metrics: metrics ?? null },
      () => `${metrics ? `${metricsText(metrics, metrics.split)}\n\n` : ''}model written to ${options.out}`,
    )
  },
})
