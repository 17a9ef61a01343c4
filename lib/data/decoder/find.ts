import { execFile } from 'node:child_process'
import { access, constants } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import { TvnError } from '../../errors.js'
import { log } from '../../verbose.js'
import type { DecoderChoice, FfmpegChoice } from './decoder.js'
import { DecoderProcess } from './process.js'

export interface FoundDecoder {
  readonly kind: DecoderChoice['kind']
  /** The library or program and its version, for people. */
  readonly detail: string
}

/** The decoder that is used here, tried out. Throws ERR_NO_DECODER. */
export async function findDecoder(): Promise<FoundDecoder> {
  const decoder = await startDecoder()
  decoder.end()
  return { kind: decoder.choice.kind, detail: decoder.detail }
}

const run = promisify(execFile)
/** What was found before, by the settings that it was found with. */
const known = new Map<string, DecoderChoice>()

/**
 * Starts the decoder to use here: the program that `FFMPEG_PATH` names; else node-av, the optional dependency; else the first
 * `ffmpeg` on the PATH. node-av comes before the PATH because starting a program takes longer than decoding a short clip (0.2 s
 * against 0.02 s for two seconds at 96 × 96), and because its version is pinned. Throws ERR_NO_DECODER.
 */
export async function startDecoder(env: NodeJS.ProcessEnv = process.env): Promise<DecoderProcess> {
  const key = JSON.stringify([env.FFMPEG_PATH, env.PATH])
  const choice = known.get(key)
  const decoder = choice === undefined ? await tryAll(env) : await DecoderProcess.start(choice)
  if (typeof decoder === 'string') throw new TvnError('ERR_NO_DECODER', `the video decoder no longer starts: ${decoder}`)
  if (choice === undefined) log('decode', decoder.detail)
  known.set(key, decoder.choice)
  return decoder
}

async function tryAll(env: NodeJS.ProcessEnv): Promise<DecoderProcess> {
  const named = env.FFMPEG_PATH
  if (named) {
    const decoder = await startFfmpeg(named)
    if (typeof decoder === 'string')
      throw new TvnError('ERR_NO_DECODER', `FFMPEG_PATH names ${named}, which cannot be used: ${decoder}`, { hint: 'correct FFMPEG_PATH or unset it' })
    return decoder
  }
  const nodeAv = await DecoderProcess.start({ kind: 'node-av' })
  if (typeof nodeAv !== 'string') return nodeAv
  log('decode', `node-av cannot be used: ${nodeAv}`)
  const program = await ffmpegOnPath(env)
  const ffmpeg = program === undefined ? 'there is none on the PATH' : await startFfmpeg(program)
  if (typeof ffmpeg !== 'string') return ffmpeg
  throw new TvnError('ERR_NO_DECODER', `no video decoder: node-av cannot be used (${nodeAv}), nor ffmpeg (${ffmpeg})`, {
    hint: 'install ffmpeg, or run npm install with optional dependencies',
  })
}

async function startFfmpeg(program: string): Promise<DecoderProcess | string> {
  const choice = await tryFfmpeg(program)
  return typeof choice === 'string' ? choice : DecoderProcess.start(choice)
}

/** How to run this program, or why it is not ffmpeg. */
export async function tryFfmpeg(program: string): Promise<FfmpegChoice | string> {
  try {
    const { stdout } = await run(program, ['-hide_banner', '-version'], { timeout: 10_000 })
    const version = /^ffmpeg version (\S+)/.exec(stdout)?.[1]
    return version === undefined ? 'it does not answer as ffmpeg does' : { kind: 'ffmpeg', program, version }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    return code === 'ENOENT' ? 'there is no such program' : (message.split('\n')[0] ?? '').trim()
  }
}

export async function ffmpegOnPath(env: NodeJS.ProcessEnv = process.env): Promise<string | undefined> {
  const name = process.platform === 'win32' ? 'ffmpeg.exe' : 'ffmpeg'
  for (const folder of (env.PATH ?? '').split(path.delimiter).filter((entry) => path.isAbsolute(entry))) {
    const program = path.join(folder, name)
    const usable = await access(program, constants.X_OK).then(
      () => true,
      () => false,
    )
    if (usable) return program
  }
  return undefined
}
