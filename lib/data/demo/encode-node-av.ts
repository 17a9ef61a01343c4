import { AV_CODEC_FLAG_GLOBAL_HEADER, AV_LOG_QUIET, AV_PIX_FMT_YUV420P, FF_ENCODER_LIBX264 } from 'node-av/constants'
import { Codec, CodecContext, FFmpegError, FormatContext, Frame, Log, Packet, Rational } from 'node-av/lib'
import { type ClipEncoder, x264Options } from './encoder.js'
import { frameRate, frameSize } from './task.js'

Log.setLevel(AV_LOG_QUIET)

/** x264 through node-av, in this process: only for a process that may crash (see `node-av.ts` of the decoders). */
export const nodeAvEncoder: ClipEncoder = {
  async encode(file, frames) {
    const count = write(file, frames)
    const found = countPackets(file)
    if (found !== count) throw new Error(`${file} holds ${found} frames of ${count}`)
  },
}

function write(file: string, frames: Iterable<Uint8Array>): number {
  const codec = Codec.findEncoderByName(FF_ENCODER_LIBX264)
  if (codec === null) throw new Error('node-av has no x264 encoder')
  using context = openEncoder(codec)
  const format = new FormatContext()
  check(format.allocOutputContext2(null, 'mp4', file), 'mp4')
  const stream = format.newStream(null)
  check(stream.codecpar.fromContext(context), 'stream')
  stream.timeBase = context.timeBase
  check(format.openOutputSync(), file)
  check(format.writeHeaderSync(null), file)
  using packet = new Packet()
  packet.alloc()
  const drain = (): void => {
    while (context.receivePacketSync(packet) >= 0) {
      packet.streamIndex = stream.index
      packet.duration = 1n
      packet.rescaleTs(context.timeBase, stream.timeBase)
      check(format.interleavedWriteFrameSync(packet), file)
    }
  }
  let count = 0
  for (const yuv of frames) {
    using frame = Frame.fromVideoBuffer(Buffer.from(yuv.buffer, yuv.byteOffset, yuv.length), {
      width: frameSize,
      height: frameSize,
      format: AV_PIX_FMT_YUV420P,
      timeBase: context.timeBase,
      pts: BigInt(count++),
    })
    check(context.sendFrameSync(frame), 'x264')
    drain()
  }
  context.sendFrameSync(null)
  drain()
  check(format.writeTrailerSync(), file)
  format.closeOutputSync()
  format.freeContext()
  return count
}

function openEncoder(codec: Codec): CodecContext {
  const context = new CodecContext()
  context.allocContext3(codec)
  context.width = frameSize
  context.height = frameSize
  context.pixelFormat = AV_PIX_FMT_YUV420P
  context.timeBase = new Rational(1, frameRate)
  context.framerate = new Rational(frameRate, 1)
  context.threadCount = 1
  context.setFlags(AV_CODEC_FLAG_GLOBAL_HEADER)
  for (const [name, value] of Object.entries({ ...x264Options, 'x264-params': 'log-level=none' })) check(context.setOption(name, value), name)
  check(context.open2Sync(codec, null), 'x264')
  return context
}

/** Video packets that can be read from a file. */
function countPackets(file: string): number {
  const format = new FormatContext()
  check(format.openInputSync(file, null, null), file)
  using packet = new Packet()
  packet.alloc()
  let count = 0
  for (; format.readFrameSync(packet) >= 0; count++) packet.unref()
  format.closeInputSync()
  return count
}

function check(status: number, what: string): void {
  if (status < 0) throw Object.assign(new Error(`${what}: ${FFmpegError.strerror(status)}`), { errno: status })
}
