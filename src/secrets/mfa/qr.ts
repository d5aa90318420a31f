/**
 * A text as a picture that phones read: a QR code (ISO 18004) as PNG (RFC 2083).
 *
 * Owns the file around the code: one bit for each pixel, in one piece. Pure.
 */
import { crc32, deflateSync } from 'node:zlib'
import { encodeQR } from 'qr'
import { Refusal } from '../../base/errors.ts'

/** The light edge that readers ask for, in dots of the code. */
const EDGE_DOTS = 4

const dotsOf = (text: string): boolean[][] => encodeQR(text, 'raw', { border: EDGE_DOTS })

/** The refusal of a picture that is too small for a text; undefined where it fits, or none is. */
export function refuseQr(text: string, pixels: number): Refusal | undefined {
  if (pixels === 0) return undefined
  const least = dotsOf(text).length
  return pixels < least
    ? new Refusal(400, `qr_size is too small for this secret: it takes ${least} pixels`)
    : undefined
}

/** The picture in base64, so many pixels wide and high; '' for none. */
export function qrPng(text: string, pixels: number): string {
  if (pixels === 0) return ''
  const dots = dotsOf(text)
  const scale = Math.floor(pixels / dots.length)
  const marginPixels = Math.floor((pixels - dots.length * scale) / 2)
  const isDark = (x: number, y: number): boolean => dots[dotAt(y)]?.[dotAt(x)] === true
  const dotAt = (at: number): number => Math.floor((at - marginPixels) / scale)
  return png(pixels, isDark).toString('base64')
}

const SIGNATURE = Buffer.from('89504e470d0a1a0a', 'hex')
const BYTE_BITS = 8
const LIGHT = 0xff
/** One bit, grey, no interlacing. */
const HEADER_END = Buffer.from([1, 0, 0, 0, 0])

function png(pixels: number, isDark: (x: number, y: number) => boolean): Buffer {
  const size = Buffer.alloc(BYTE_BITS)
  size.writeUInt32BE(pixels, 0)
  size.writeUInt32BE(pixels, Uint32Array.BYTES_PER_ELEMENT)
  const rows = Array.from({ length: pixels }, (_, y) => rowOf(pixels, x => isDark(x, y)))
  return Buffer.concat([
    SIGNATURE,
    chunk('IHDR', Buffer.concat([size, HEADER_END])),
    chunk('IDAT', deflateSync(Buffer.concat(rows))),
    chunk('IEND', Buffer.alloc(0)),
  ])
}

/** A row with the byte before it that says that it is not filtered. */
function rowOf(pixels: number, isDark: (x: number) => boolean): Buffer {
  const row = Buffer.alloc(1 + Math.ceil(pixels / BYTE_BITS), LIGHT)
  row[0] = 0
  for (let x = 0; x < pixels; x++) {
    if (isDark(x)) row[1 + Math.floor(x / BYTE_BITS)]! &= ~(1 << (BYTE_BITS - 1 - (x % BYTE_BITS)))
  }
  return row
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data])
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)]
  length.writeUInt32BE(data.length)
  sum.writeUInt32BE(crc32(body))
  return Buffer.concat([length, body, sum])
}
