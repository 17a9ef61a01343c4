/** `single-label`: one class a video, softmax; `multi-label`: any number of classes, a sigmoid each. */
export const tasks = ['single-label', 'multi-label'] as const
export type Task = (typeof tasks)[number]

/** How a video becomes the clips that are classified; the same rule for eval, predict and reports. */
export interface Preprocessing {
  /** Side of the centre square that is cut out, as a part of the frame's shorter side. */
  readonly cropFraction: number
  /** Clips spread evenly over the video whose probabilities are averaged; one is centred. */
  readonly views: number
}

export const defaultPreprocessing: Preprocessing = { cropFraction: 0.875, views: 3 }
