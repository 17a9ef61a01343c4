import path from 'node:path'
import { throwIfAborted } from '../../abort.js'
import { checkWritable, writeFileAtomic } from '../../atomic.js'
import { TvnError } from '../../errors.js'
import { loadModel } from '../../model/model.js'
import { defineCommand, flag, required, value } from '../command.js'
import { modelOption } from '../shared-options.js'
import { text } from '../values.js'

export const command = defineCommand({
  name: 'export',
  about: 'Writes a model for other runtimes: as ONNX (opset 17), from bytes [N, T, H, W, 3] to logits [N, classes].',
  examples: ['tvn export --onnx best.onnx --model best.safetensors'],
  options: {
    onnx: required(value('OUT', 'ONNX file to write', text)),
    model: modelOption,
    keepBatchNorm: flag('keep batch norms instead of folding them into the convolutions'),
  },
  async run({ options: { onnx, model: file, keepBatchNorm }, output, signal }) {
    if (path.resolve(onnx) === path.resolve(file)) throw new TvnError('ERR_ARGUMENT', `${onnx}: is the model itself, expected another file for the export`)
    await checkWritable(onnx)
    using model = await loadModel(file)
    const bytes = model.toOnnx({ foldBatchNorm: !keepBatchNorm })
    throwIfAborted(signal)
    await writeFileAtomic(onnx, [bytes])
    output.result({ path: onnx, bytes: bytes.length }, () => `ONNX model written to ${onnx} (${bytes.length} bytes)`)
  },
})
