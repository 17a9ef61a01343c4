/**
 * The learning rate of a step: linear warm-up over the first tenth of the steps, then a cosine towards 0
 * (Loshchilov and Hutter 2017, without restarts).
 *
 * @param step from 0
 * @param steps of the whole training
 * @param peak the rate at the end of the warm-up
 */
export function learningRateAt(step: number, steps: number, peak: number): number {
  const warmUp = Math.max(1, Math.round(steps * warmUpPart))
  if (step < warmUp) return (peak * (step + 1)) / warmUp
  return peak * 0.5 * (1 + Math.cos((Math.PI * (step - warmUp)) / (steps - warmUp)))
}

const warmUpPart = 0.1
