import { splits } from '../../data/dataset.js'
import { openDataset } from '../../data/open.js'
import { prepareDataset } from '../../data/prepare.js'
import { loadModel } from '../../model/model.js'
import { evaluateModel } from '../../train/evaluate-model.js'
import { defineCommand, value, withDefault } from '../command.js'
import { metricsText, warnQuarantined } from '../metrics-text.js'
import { showProgress } from '../progress.js'
import { dataOption, deviceOption, modelOption, precisionOption, threadsOption } from '../shared-options.js'
import { oneOf } from '../values.js'

export const command = defineCommand({
  name: 'eval',
  about: 'Evaluates a model on one split of a dataset: top-1, top-5 and the confusion of the classes or, for several labels a video, mean average precision.',
  examples: ['tvn eval --model best.safetensors --data demo', 'tvn eval --model best.safetensors --data videos --split val --json'],
  options: {
    model: modelOption,
    data: dataOption,
    split: withDefault(value('SPLIT', 'train, val or test', oneOf(...splits)), 'test'),
    device: deviceOption,
    precision: precisionOption,
    threads: threadsOption,
  },
  async run({ options, output, signal }) {
    const { data, split, device, precision, threads } = options
    using model = await loadModel(options.model, { device, precision, threads })
    const onProgress = showProgress(output)
    const dataset = await prepareDataset(await openDataset(data, { only: split, signal, onProgress }), { signal, onProgress })
    const metrics = await evaluateModel(model, dataset, split, { signal, onProgress: (progress) => onProgress({ phase: 'evaluate', ...progress }) })
    warnQuarantined(output, dataset.quarantined)
    output.result(metrics, () => metricsText(metrics, split))
  },
})
