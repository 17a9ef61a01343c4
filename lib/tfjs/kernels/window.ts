import type { Int3, Padding } from '../../network/ops.generated.js'

export type Shape5 = readonly [n: number, t: number, h: number, w: number, c: number]

interface Axis {
  readonly out: number
  readonly pad: number
}

/** TensorFlow's padding: `same` makes ceil(n / stride) outputs, the smaller half of the padding in front; `valid` pads nothing. */
function axis(n: number, kernel: number, stride: number, padding: Padding): Axis {
  if (padding === 'valid') return { out: n < kernel ? 0 : Math.floor((n - kernel) / stride) + 1, pad: 0 }
  const out = Math.ceil(n / stride)
  return { out, pad: Math.floor(Math.max((out - 1) * stride + kernel - n, 0) / 2) }
}

/** A window over T, H and W as native layers take it. */
export function windowed([n, ...x]: Shape5, kernel: Int3, stride: Int3, padding: Padding, channels: number) {
  const [t, h, w] = ([0, 1, 2] as const).map((i) => axis(x[i] as number, kernel[i], stride[i], padding)) as [Axis, Axis, Axis]
  const pad: Int3 = [t.pad, h.pad, w.pad]
  return { y: [n, t.out, h.out, w.out, channels], kernel, stride, pad }
}
