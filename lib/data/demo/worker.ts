/** The process that renders and encodes demo clips, see `make.ts`. The first question is which encoder to use. */
import { open, rename, rm } from 'node:fs/promises'
import { temporaryFile } from '../../temporary.js'
import { answer } from '../child.js'
import type { ClipEncoder, EncoderChoice } from './encoder.js'
import { ClipRenderer, frameBytes } from './render.js'
import type { ClipPlan } from './task.js'

export interface ClipJob {
  readonly file: string
  readonly plan: ClipPlan
  readonly frames: number
}

/** An EncoderChoice or a ClipJob; both are answered with a Result. */
export type Question = EncoderChoice | ClipJob

/** `code` is the system's, such as ENOSPC, when there is one. */
export type Result = { readonly ok: true } | { readonly ok: false; readonly code?: string; readonly reason: string }

let encoder: ClipEncoder | undefined

answer(async (asked): Promise<Result> => {
  const question = asked as Question
  try {
    if ('plan' in question) await make(question)
    else encoder = await load(question)
    return { ok: true }
  } catch (error) {
    const { code, errno, message } = error as NodeJS.ErrnoException
    const systemCode = code ?? (errno === -28 ? 'ENOSPC' : undefined)
    return { ok: false, reason: (message.split('\n')[0] ?? '').trim(), ...(systemCode !== undefined && { code: systemCode }) }
  }
})

async function load(choice: EncoderChoice): Promise<ClipEncoder> {
  switch (choice.kind) {
    case 'node-av':
      return (await import('./encode-node-av.js')).nodeAvEncoder
    case 'ffmpeg':
      return (await import('./encode-ffmpeg.js')).ffmpegEncoder(choice.program)
  }
}

/** Only a file that was written, counted and flushed gets its name. */
async function make({ file, plan, frames }: ClipJob): Promise<void> {
  if (encoder === undefined) throw new Error('no encoder was chosen')
  const temporary = temporaryFile(file)
  try {
    await encoder.encode(temporary, render(plan, frames))
    const handle = await open(temporary, 'r+')
    await handle.sync()
    await handle.close()
    await rename(temporary, file)
  } finally {
    await rm(temporary, { force: true })
  }
}

function* render(plan: ClipPlan, frames: number): Generator<Uint8Array> {
  const renderer = new ClipRenderer(plan)
  const frame = new Uint8Array(frameBytes)
  for (let i = 0; i < frames; i++) {
    renderer.next(frame)
    yield frame
  }
}
