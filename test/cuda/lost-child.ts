/** A process whose GPU fails in the middle of work: what calls end with, and what still works afterwards. Prints JSON. */
import { loadModel } from '../../lib/model/model.js'
import { createTrainer } from '../../lib/train/trainer.js'

const file = process.argv[2] as string
const ending = async (call: () => Promise<unknown>): Promise<string> => {
  try {
    await call()
    return 'done'
  } catch (error) {
    const { name, code, message } = error as Error & { code?: string }
    return `${name} ${code}: ${message}`
  }
}

const gpu = await loadModel(file, { device: 'cuda' })
const { frames, size } = gpu.network.streams[0]
const shape = [1, frames, size, size, 3]
const clip = Uint8Array.from({ length: frames * size * size * 3 }, (_, i) => (i * 97) % 251)
const endings: string[] = []
for (let i = 0; i < 40 && (endings.at(-1) ?? 'done') === 'done'; i++) endings.push(await ending(() => gpu.logits(clip, shape)))
endings.push(await ending(() => gpu.logits(clip, shape)))
endings.push(await ending(() => createTrainer(gpu, { device: 'cuda' })))
endings.push(await ending(() => loadModel(file, { device: 'cuda' }).then((model) => model.logits(clip, shape))))
gpu.dispose()

using cpu = await loadModel(file)
const onCpu = await ending(() => cpu.logits(clip, shape))
process.stdout.write(JSON.stringify({ endings, onCpu }))
