import path from 'node:path'
import { throwIfAborted } from '../../abort.js'
import { checkWritable, writeFileAtomic } from '../../atomic.js'
import { TvnError } from '../../errors.js'
import { loadModel } from '../../model/model.js'
import { defineCommand, flag, value } from '../command.js'
import { modelOption } from '../shared-options.js'
import { text } from '../values.js'

export const command = defineCommand({
  name: 'export',
  about:
    'Writes a model for other runtimes: as ONNX (opset 17), from bytes [N, T, H, W, 3] to logits [N, classes], or as a TensorFlow.js LayersModel, from numbers 0 to 255.',
  examples: ['tvn export --onnx best.onnx --model best.safetensors', 'tvn export --tfjs web/model --model best.safetensors'],
  options: {
    onnx: value('OUT', 'ONNX file to write', text),
    tfjs: value('FOLDER', 'folder for a LayersModel of stock layers: model.json and weights.bin', text),
    model: modelOption,
    keepBatchNorm: flag('keep batch norms instead of folding them into the convolutions (ONNX alone)'),
  },
  async run({ options: { onnx, tfjs, model: file, keepBatchNorm }, output, signal }) {
    if ((onnx === undefined) === (tfjs === undefined)) throw new TvnError('ERR_ARGUMENT', 'expected either --onnx OUT or --tfjs FOLDER')
    if (onnx !== undefined) {
      if (path.resolve(onnx) === path.resolve(file)) throw new TvnError('ERR_ARGUMENT', `${onnx}: is the model itself, expected another file for the export`)
      await checkWritable(onnx)
      using model = await loadModel(file)
      const bytes = model.toOnnx({ foldBatchNorm: !keepBatchNorm })
      throwIfAborted(signal)
      await writeFileAtomic(onnx, [bytes])
      output.result({ path: onnx, bytes: bytes.length }, () => `ONNX model written to ${onnx} (${bytes.length} bytes)`)
    } else if (tfjs !== undefined) {
      if (keepBatchNorm) throw new TvnError('ERR_ARGUMENT', '--keep-batch-norm: a LayersModel for clips has no batch norms, expected it with --onnx alone')
      const { exportLayersModel } = await importTfjs()
      using model = await loadModel(file)
      throwIfAborted(signal)
      const bytes = await exportLayersModel(model, tfjs)
      output.result({ path: tfjs, bytes }, () => `LayersModel written to ${tfjs} (${bytes} bytes)`)
    }
  },
})

/** What needs the optional package. */
async function importTfjs(): Promise<typeof import('../../tfjs/convert/export.js')> {
  try {
    return await import('../../tfjs/convert/export.js')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw cause
    throw new TvnError('ERR_ARGUMENT', '--tfjs needs the package @tensorflow/tfjs, which is not installed', { hint: 'npm install @tensorflow/tfjs', cause })
  }
}
