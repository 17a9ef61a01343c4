import type { Op } from '../network/ops.generated.js'

/** An activation behind a norm, or a relu behind a convolution, whose output nothing else reads moves into it. */
export function fuseActivations(ops: readonly Op[], output: string): Op[] {
  const uses = new Map<string, number>([[output, 1]])
  for (const op of ops) for (const input of op.inputs) if (input !== undefined) uses.set(input, (uses.get(input) ?? 0) + 1)
  const fused: Op[] = []
  for (const op of ops) {
    const at = op.op === 'activation' && uses.get(op.inputs[0]) === 1 ? fused.findIndex((other) => other.output === op.inputs[0]) : -1
    const before = fused[at]
    const f = op.op === 'activation' ? op.function : 'none'
    const takes = before?.op === 'batch_norm' || ((before?.op === 'conv' || before?.op === 'depthwise') && f === 'relu')
    if (takes && (before.function ?? 'none') === 'none') fused[at] = { ...before, output: op.output, function: f }
    else fused.push(op)
  }
  return fused
}
