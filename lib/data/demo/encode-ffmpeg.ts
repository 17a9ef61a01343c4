import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { type ClipEncoder, x264Options } from './encoder.js'
import { frameRate, frameSize } from './task.js'

/** x264 through the `ffmpeg` program. */
export function ffmpegEncoder(program: string): ClipEncoder {
  return {
    async encode(file, frames) {
      const input = ['-f', 'rawvideo', '-pix_fmt', 'yuv420p', '-s', `${frameSize}x${frameSize}`, '-r', String(frameRate), '-i', 'pipe:0']
      const options = Object.entries(x264Options).flatMap(([name, value]) => [`-${name}`, value])
      const output = ['-c:v', 'libx264', ...options, '-threads', '1', '-f', 'mp4', `file:${file}`]
      const child = spawn(program, ['-hide_banner', '-loglevel', 'error', '-stats', ...input, ...output], { stdio: ['pipe', 'ignore', 'pipe'] })
      let said = ''
      child.stderr.on('data', (chunk) => (said += chunk))
      child.stdin.on('error', () => {}) // it ended early: the exit code tells
      const closed = once(child, 'close')
      let count = 0
      for (const yuv of frames) {
        count++
        if (!child.stdin.write(Buffer.from(yuv))) await Promise.race([once(child.stdin, 'drain'), closed])
      }
      child.stdin.end()
      const [code] = await closed
      const written = Number([...said.matchAll(/frame= *(\d+)/g)].at(-1)?.[1] ?? 0)
      if (code !== 0)
        throw Object.assign(new Error(`ffmpeg cannot encode ${file}: ${said.trim().split('\n').at(-1)}`), /No space left/.test(said) ? { code: 'ENOSPC' } : {})
      if (written !== count) throw new Error(`${file} holds ${written} frames of ${count}`)
    },
  }
}
