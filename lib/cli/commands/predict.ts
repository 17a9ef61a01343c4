import { TvnError } from '../../errors.js'
import { type Classification, loadModel, type Model } from '../../model/model.js'
import { formatMilliseconds } from '../../text-table.js'
import { defineCommand, value, withDefault } from '../command.js'
import { deviceOption, modelOption, precisionOption, threadsOption } from '../shared-options.js'
import { count } from '../values.js'

type Result = { readonly file: string } & (Classification | { readonly error: string })

export const command = defineCommand({
  name: 'predict',
  about: 'Classifies video files. A file that cannot be decoded is named with its reason and the others go on; the exit code is then 1.',
  examples: ['tvn predict clip.mp4 --model best.safetensors', 'tvn predict videos/*.mp4 --model best.safetensors --top 1 --json'],
  operands: [{ name: 'FILE', about: 'video that FFmpeg can read', many: true }],
  options: {
    model: modelOption,
    top: withDefault(value('N', 'classes to show, best first', count(1)), 5),
    device: deviceOption,
    precision: precisionOption,
    threads: threadsOption,
  },
  async run({ options, operands: files, output, signal }) {
    const { top, device, precision, threads } = options
    using model = await loadModel(options.model, { device, precision, threads })
    const results: Result[] = []
    for (const [i, file] of files.entries()) {
      output.progress(`classifying ${i + 1}/${files.length}  ${file}`)
      const result = await classify(model, file, top, signal)
      if ('error' in result) output.warn(`tvn: ${result.error}`)
      results.push(result)
    }
    output.result(results, () => results.map((result) => ('error' in result ? `${result.file}\n  cannot be classified` : resultText(result))).join('\n\n'))
    return results.some((result) => 'error' in result) ? 1 : 0
  },
})

async function classify(model: Model, file: string, top: number, signal: AbortSignal): Promise<Result> {
  try {
    return { file, ...(await model.classify(file, { top, signal })) }
  } catch (error) {
    if (error instanceof TvnError && error.code === 'ERR_DECODE') return { file, error: error.message }
    throw error
  }
}

function resultText({ file, predictions, decodeMs, inferenceMs }: { readonly file: string } & Classification): string {
  const lines = predictions.map(({ label, probability }) => `${(100 * probability).toFixed(1).padStart(7)} %  ${label}`)
  return [`${file}  (decoded in ${formatMilliseconds(decodeMs)}, classified in ${formatMilliseconds(inferenceMs)})`, ...lines].join('\n')
}
