/** Where a clip goes: an H.264 file in the mp4 format. */
export interface ClipEncoder {
  /**
   * Encodes frames (yuv420p, `frameSize` square, `frameRate`) into `file`, which does not exist yet, and counts them in the file
   * that came out. Rejects when that fails or the counts differ.
   */
  encode(file: string, frames: Iterable<Uint8Array>): Promise<void>
}

export type EncoderChoice = { readonly kind: 'node-av' } | { readonly kind: 'ffmpeg'; readonly program: string }

/**
 * x264's settings. Every frame is coded alone, with a constant quantiser: what a codec leaves behind around a moving object when
 * it predicts from other frames would tell the motion in a single one.
 */
export const x264Options = { preset: 'ultrafast', qp: '22', g: '1' } as const
