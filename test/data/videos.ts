import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'

/** An empty folder, removed at the end of the process. */
export function temporaryFolder(name: string): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), `tvn-${name}-`))
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** The `ffmpeg` that makes the test files; `npm test` installs it. */
export const ffmpegProgram = process.env.FFMPEG_PATH || 'ffmpeg'

export function ffmpeg(...args: readonly string[]): void {
  execFileSync(ffmpegProgram, ['-v', 'error', '-nostdin', '-y', ...args], { stdio: ['ignore', 'ignore', 'pipe'] })
}

export function hasFfmpeg(): boolean {
  return spawnSync(ffmpegProgram, ['-version']).status === 0
}

const pattern = (size: string, rate: string, seconds: number): string[] => ['-f', 'lavfi', '-i', `testsrc2=s=${size}:r=${rate}:d=${seconds}`]
const h264 = ['-c:v', 'libx264', '-pix_fmt', 'yuv420p']

/** Videos of many kinds: what is stored of each, by the rules of `decoder.ts` and `frame-grid.ts`. */
export const goodVideos: Readonly<
  Record<
    string,
    { readonly make: (file: string, folder: string) => void; readonly stored: readonly [width: number, height: number, frames: number, fps: number] }
  >
> = {
  'small.mp4': { make: (file) => ffmpeg(...pattern('96x96', '24', 2), ...h264, file), stored: [96, 96, 48, 24] },
  'odd size.avi': {
    make: (file) => ffmpeg(...pattern('178x100', '15', 2), '-vf', 'crop=177:99:0:0:exact=1', '-c:v', 'ffv1', '-pix_fmt', 'bgr0', file),
    stored: [177, 99, 30, 15],
  },
  'with sound.webm': {
    make: (file) => ffmpeg(...pattern('160x120', '25', 2), '-f', 'lavfi', '-i', 'sine=d=2', '-c:v', 'libvpx', '-c:a', 'libopus', file),
    stored: [160, 120, 50, 25],
  },
  'sixty.mov': { make: (file) => ffmpeg(...pattern('640x480', '60', 1), ...h264, file), stored: [480, 360, 30, 30] },
  'ntsc.mp4': { make: (file) => ffmpeg(...pattern('320x180', '30000/1001', 1), ...h264, '-bf', '3', file), stored: [320, 180, 30, 30000 / 1001] },
  'portrait.mp4': {
    make: (file, folder) => {
      const flat = path.join(folder, '.flat.mp4')
      ffmpeg(...pattern('720x404', '30', 1), ...h264, flat)
      ffmpeg('-i', flat, '-c', 'copy', '-metadata:s:v', 'rotate=90', file)
      rmSync(flat)
    },
    stored: [360, 642, 30, 30],
  },
  'wide pixels.mpg': { make: (file) => ffmpeg(...pattern('352x288', '25', 1), '-vf', 'setsar=16/11', '-c:v', 'mpeg2video', file), stored: [512, 288, 25, 25] },
  'fast.mkv': { make: (file) => ffmpeg(...pattern('64x64', '120', 1), ...h264, file), stored: [64, 64, 30, 30] },
  'uneven.mp4': {
    make: (file) => ffmpeg(...pattern('64x64', '30', 2), '-vf', "select='lt(n,30)+not(mod(n,3))'", '-vsync', 'vfr', ...h264, file),
    stored: [64, 64, 58, 30],
  },
  'stream.ts': { make: (file) => ffmpeg(...pattern('64x64', '50', 1), ...h264, '-bf', '2', file), stored: [64, 64, 25, 25] },
  'one frame.avi': { make: (file) => ffmpeg(...pattern('64x64', '25', 1), '-frames:v', '1', '-c:v', 'mjpeg', file), stored: [64, 64, 1, 25] },
}

/** Files that give no frames, and why. */
export const badFiles: Readonly<Record<string, { readonly make: (file: string, folder: string) => void; readonly reason: RegExp }>> = {
  'audio.mp4': { make: (file) => ffmpeg('-f', 'lavfi', '-i', 'sine=d=1', file), reason: /^no video stream$/ },
  'truncated.mp4': {
    make: (file) => {
      ffmpeg(...pattern('160x120', '25', 2), ...h264, file)
      writeFileSync(file, readFileSync(file).subarray(0, 20_000))
    },
    reason: /^a damaged video: .*cut short/,
  },
  'cover.mp3': {
    make: (file, folder) => {
      const cover = path.join(folder, '.cover.png')
      ffmpeg(...pattern('64x64', '1', 1), '-frames:v', '1', cover)
      ffmpeg('-f', 'lavfi', '-i', 'sine=d=1', '-i', cover, '-map', '0', '-map', '1', '-c:v', 'copy', '-disposition:v', 'attached_pic', file)
      rmSync(cover)
    },
    reason: /^no video stream$/,
  },
  'text.mp4': { make: (file) => writeFileSync(file, 'hello, world\n'), reason: /^not a video$/ },
  'notes.txt': { make: (file) => writeFileSync(file, 'FFmpeg would draw this text as a terminal does\n'), reason: /^not a video$/ },
  'picture.png': { make: (file) => ffmpeg(...pattern('64x64', '1', 1), '-frames:v', '1', file), reason: /^a picture, not a video$/ },
  'list.m3u8': {
    make: (file) => writeFileSync(file, '#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nsmall.mp4\n#EXT-X-ENDLIST\n'),
    reason: /^(a playlist, )?not a video$/,
  },
  'changes.ts': {
    make: (file, folder) => {
      const parts = ['64x64', '96x96'].map((size, i) => {
        const part = path.join(folder, `.part${i}.ts`)
        ffmpeg(...pattern(size, '25', 1), ...h264, part)
        return part
      })
      writeFileSync(file, Buffer.concat(parts.map((part) => readFileSync(part))))
      for (const part of parts) rmSync(part)
    },
    reason: /^its frame size changes/,
  },
}

/** A video cut short whose beginning can still be decoded. */
export function makeCutVideo(file: string): void {
  ffmpeg(...pattern('160x120', '25', 4), ...h264, '-movflags', '+faststart', file)
  const bytes = readFileSync(file)
  writeFileSync(file, bytes.subarray(0, bytes.length / 2))
}

/** A short clip that differs by its number. */
export function makeClip(file: string, number: number, frames = 8): void {
  mkdirSync(path.dirname(file), { recursive: true })
  ffmpeg(
    '-f',
    'lavfi',
    '-i',
    `testsrc2=s=32x32:r=8:d=${(number + frames) / 8}`,
    '-vf',
    `select='gte(n,${number})',setpts=N/8/TB`,
    '-frames:v',
    String(frames),
    '-c:v',
    'ffv1',
    file,
  )
}
