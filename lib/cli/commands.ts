import type { Command } from './command.js'

export interface CommandEntry {
  readonly name: string
  /** One line for the list of commands. */
  readonly summary: string
  /** Loads the command when it is called, so that `tvn --help` starts fast. */
  readonly load: () => Promise<{ readonly command: Command }>
}

/** Every command, in the order of the help. */
export const commands: readonly CommandEntry[] = [
  { name: 'search', summary: 'find a network that meets your limits, on your videos', load: () => import('./commands/search.js') },
  { name: 'predict', summary: 'classify video files', load: () => import('./commands/predict.js') },
  { name: 'train', summary: 'train one network', load: () => import('./commands/train.js') },
  { name: 'eval', summary: 'evaluate a model on a dataset', load: () => import('./commands/eval.js') },
  { name: 'profile', summary: 'show where the time of a network goes', load: () => import('./commands/profile.js') },
  { name: 'models', summary: 'list the networks of the paper, or show one network', load: () => import('./commands/models.js') },
  { name: 'export', summary: 'write a model as ONNX', load: () => import('./commands/export.js') },
  { name: 'doctor', summary: 'check that everything works on this machine', load: () => import('./commands/doctor.js') },
]
