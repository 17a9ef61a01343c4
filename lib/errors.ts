/** What is wrong, in one word that stays stable between releases. */
export type ErrorCode =
  | 'ERR_ARGUMENT' // an argument or option is invalid
  | 'ERR_NETWORK_INVALID' // a Network JSON breaks the schema
  | 'ERR_GRAPH_INVALID' // the native engine refuses a graph
  | 'ERR_MODEL_FILE' // not a readable model file
  | 'ERR_MODEL_TENSOR' // a tensor of a model file is missing, surplus or misshapen
  | 'ERR_DATASET' // a dataset cannot be used
  | 'ERR_DECODE' // a video cannot be decoded
  | 'ERR_NO_DECODER' // neither ffmpeg nor node-av can be used
  | 'ERR_LIMIT_INVALID' // a limit that does not parse
  | 'ERR_LIMIT_IMPOSSIBLE' // no network of the space meets the limit here
  | 'ERR_NO_WINNER' // a search ended without a network that meets its limits
  | 'ERR_STUDY' // a run directory cannot be created or resumed
  | 'ERR_DISPOSED' // use after dispose()
  | 'ERR_BUSY' // the object already runs
  | 'ERR_ABORTED' // an AbortSignal ended it
  | 'ERR_DIVERGED' // a training left the finite numbers
  | 'ERR_MEMORY' // too large for this machine
  | 'ERR_PRECISION' // arithmetic that this device does not have
  | 'ERR_DEVICE' // a GPU that cannot be used here
  | 'ERR_DEVICE_LOST' // a GPU failed in the middle of work
  | 'ERR_FILE' // a file cannot be read or written
  | 'ERR_NATIVE' // the addon is missing, stale or failed

export interface TvnErrorOptions {
  /** What the user can do about it, one line. */
  hint?: string
  cause?: unknown
}

/** Every error this library throws on purpose. `message` is one line: what was expected, what came, where. */
export class TvnError extends Error {
  override readonly name = 'TvnError'
  readonly code: ErrorCode
  readonly hint?: string

  constructor(code: ErrorCode, message: string, options: TvnErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    if (options.hint !== undefined) this.hint = options.hint
  }
}

/** The same error with where it happened in front (`<where>: <message>`), for a TvnError; anything else as it is. */
export function inContext(where: string, error: unknown): unknown {
  if (!(error instanceof TvnError)) return error
  return new TvnError(error.code, `${where}: ${error.message}`, { cause: error, ...(error.hint === undefined ? {} : { hint: error.hint }) })
}
