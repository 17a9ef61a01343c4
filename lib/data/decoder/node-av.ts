import {
  AV_DISPOSITION_ATTACHED_PIC,
  AV_FRAME_DATA_DISPLAYMATRIX,
  AV_LOG_QUIET,
  AV_PKT_DATA_DISPLAYMATRIX,
  AVERROR_INVALIDDATA,
  AVMEDIA_TYPE_VIDEO,
} from 'node-av/constants'
import {
  avGetCodecName,
  Codec,
  CodecContext,
  FFmpegError,
  Filter,
  type FilterContext,
  FilterGraph,
  FormatContext,
  Frame,
  getFFmpegInfo,
  Log,
  Packet,
  type Stream,
} from 'node-av/lib'
import { isOrphan } from '../child.js'
import {
  DecodeFailure,
  type DecodeLimits,
  type FilterStep,
  type FrameSink,
  frameFilters,
  readHead,
  reasons,
  refuseContainer,
  unreadableReason,
  type VideoDecoder,
} from './decoder.js'
import type { Rational } from './frame-grid.js'

Log.setLevel(AV_LOG_QUIET)

const noTimestamp = -(2n ** 63n)

/**
 * FFmpeg's libraries through node-av, in this process: only for a process that may crash. The synchronous calls are used because
 * the asynchronous ones deliver nothing on Node 20. No call is given an option dictionary or a list of filter ends: FFmpeg takes
 * those over, and node-av frees them a second time. The `file` protocol opens nothing but files by itself.
 */
export const nodeAvDecoder: VideoDecoder = {
  detail: `node-av, FFmpeg ${getFFmpegInfo().version}`,
  async decode(file, limits, sink) {
    const format = openFormat(file)
    try {
      decodeStream(format, limits, sink)
    } finally {
      format.closeInputSync()
    }
  },
}

function decodeStream(format: FormatContext, limits: DecodeLimits, sink: FrameSink): void {
  const stream = format.streams.find(
    ({ codecpar, disposition }) => codecpar.codecType === AVMEDIA_TYPE_VIDEO && (disposition & AV_DISPOSITION_ATTACHED_PIC) === 0,
  )
  if (stream === undefined) throw new DecodeFailure(reasons.noVideoStream)
  using codec = openCodec(stream, limits)
  using packet = new Packet()
  using frame = new Frame()
  packet.alloc()
  frame.alloc()
  using filter = new FrameFilter(stream, limits, sink)
  sink.begin(guessRate(stream))

  const drain = (): void => {
    while (codec.receiveFrameSync(frame) >= 0) {
      filter.run(frame)
      frame.unref()
    }
  }
  while (format.readFrameSync(packet) >= 0) {
    if (isOrphan()) process.exit(0)
    if (packet.streamIndex === stream.index) {
      codec.sendPacketSync(packet)
      drain()
    }
    packet.unref()
  }
  codec.sendPacketSync(null)
  drain()
}

function openFormat(file: string): FormatContext {
  const format = new FormatContext()
  const opened = format.openInputSync(`file:${file}`, null, null)
  if (opened < 0)
    throw new DecodeFailure(opened === AVERROR_INVALIDDATA ? unreadableReason(readHead(file)) : `cannot be opened: ${FFmpegError.strerror(opened)}`)
  try {
    refuseContainer(format.iformat?.name ?? '')
    check(format.findStreamInfoSync(null), 'its streams cannot be read')
    return format
  } catch (error) {
    format.closeInputSync()
    throw error
  }
}

function openCodec(stream: Stream, limits: DecodeLimits): CodecContext {
  const { codecpar } = stream
  if (codecpar.width * codecpar.height > limits.pixels) throw new DecodeFailure(reasons.tooManyPixels)
  const codec = Codec.findDecoder(codecpar.codecId)
  if (codec === null) throw new DecodeFailure(reasons.noDecoder(avGetCodecName(codecpar.codecId) ?? 'unknown'))
  const context = new CodecContext()
  context.allocContext3(codec)
  check(context.parametersToContext(codecpar), 'its codec cannot be set up')
  context.pktTimebase = stream.timeBase
  // one thread a file: files run side by side, and a damaged one gives the same frames every time
  context.threadCount = 1
  check(context.open2Sync(codec, null), 'its codec cannot be set up')
  return context
}

/** FFmpeg's own rule (av_guess_frame_rate), which its program follows: the least common rate, unless that is an artefact. */
function guessRate(stream: Stream): Rational {
  const { rFrameRate: least, avgFrameRate: average } = stream
  const isArtefact = average.num > 0 && average.den > 0 && least.den > 0 && average.toDouble() < 70 && least.toDouble() > 210
  const rate = isArtefact ? average : least
  return [rate.num, rate.den]
}

/** `frameFilters` as a filter graph, set up from the first frame. */
class FrameFilter {
  readonly #stream: Stream
  readonly #limits: DecodeLimits
  readonly #sink: FrameSink
  readonly #out = new Frame()
  #graph: FilterGraph | undefined
  #source: FilterContext | undefined
  #end: FilterContext | undefined
  #shape = ''

  constructor(stream: Stream, limits: DecodeLimits, sink: FrameSink) {
    this.#stream = stream
    this.#limits = limits
    this.#sink = sink
    this.#out.alloc()
  }

  run(frame: Frame): void {
    if (frame.width * frame.height > this.#limits.pixels) throw new DecodeFailure(reasons.tooManyPixels)
    const pts = frame.bestEffortTimestamp
    const { num, den } = this.#stream.timeBase
    const seconds = pts === noTimestamp ? undefined : (Number(pts) * num) / den
    const shape = `${frame.width}x${frame.height} ${frame.format}`
    if (shape !== this.#shape) this.#setUp(frame)
    this.#shape = shape
    const source = this.#source as FilterContext
    const end = this.#end as FilterContext
    const out = this.#out
    check(source.buffersrcAddFrameSync(frame), cannotConvert)
    while (end.buffersinkGetFrameSync(out) >= 0) {
      const { width, height } = out
      const rgb = out.toBuffer()
      out.unref()
      this.#sink.frame(seconds, width, height, rgb)
    }
  }

  #setUp(frame: Frame): void {
    this.#graph?.free()
    const graph = new FilterGraph()
    this.#graph = graph
    graph.alloc()
    graph.nbThreads = 1
    const { timeBase } = this.#stream
    const aspect = frame.sampleAspectRatio
    const source = [
      `video_size=${frame.width}x${frame.height}`,
      `pix_fmt=${frame.format}`,
      `time_base=${timeBase.num}/${timeBase.den}`,
      `pixel_aspect=${aspect.num}/${Math.max(1, aspect.den)}`,
      `colorspace=${frame.colorSpace}`,
      `range=${frame.colorRange}`,
    ].join(':')
    const matrix = frame.getSideData(AV_FRAME_DATA_DISPLAYMATRIX) ?? this.#stream.codecpar.getCodedSideData(AV_PKT_DATA_DISPLAYMATRIX)
    const steps: FilterStep[] = [['buffer', source], ...turns(matrix), ...frameFilters, ['buffersink', '']]
    const filters = steps.map(([name, options], i) => create(graph, name, `${name}${i}`, options))
    filters.forEach((filter, i) => i > 0 && check(filters[i - 1]?.link(0, filter, 0) ?? -1, cannotConvert))
    check(graph.configSync(), cannotConvert)
    this.#source = filters[0]
    this.#end = filters.at(-1)
  }

  [Symbol.dispose](): void {
    this.#graph?.free()
    this.#out.free()
  }
}

const cannotConvert = 'its frames cannot be converted'

function create(graph: FilterGraph, kind: string, name: string, options: string): FilterContext {
  const filter = Filter.getByName(kind)
  const context = filter && graph.createFilter(filter, name, options || null)
  if (!context) throw new DecodeFailure(cannotConvert)
  return context
}

/** The filters that FFmpeg's program puts in front for a display matrix (nine 16.16 numbers; the last column is 2.30). */
function turns(matrix: Buffer | null): FilterStep[] {
  if (matrix === null || matrix.length < 36) return []
  const m = new Int32Array(new Uint8Array(matrix).buffer)
  const at = (i: number): number => (m[i] ?? 0) / 65536
  const scaleX = Math.hypot(at(0), at(3))
  const scaleY = Math.hypot(at(1), at(4))
  if (scaleX === 0 || scaleY === 0) return []
  const degrees = Math.atan2(at(1) / scaleY, at(0) / scaleX) * (180 / Math.PI)
  const turn = ((Math.round(degrees) % 360) + 360) % 360
  if (turn === 90) return [['transpose', at(3) > 0 ? 'cclock_flip' : 'clock']]
  if (turn === 270) return [['transpose', at(3) < 0 ? 'clock_flip' : 'cclock']]
  const mirrored: FilterStep[] = at(4) < 0 ? [['vflip', '']] : []
  if (turn === 180) return at(0) < 0 ? [['hflip', ''], ...mirrored] : mirrored
  if (turn === 0) return mirrored
  return [['rotate', `${turn}*PI/180`]]
}

function check(status: number, what: string): void {
  if (status < 0) throw new DecodeFailure(`${what}: ${FFmpegError.strerror(status)}`)
}
