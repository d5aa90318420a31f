/** Reads PNG files of one bit a pixel: as a reader of QR codes wants them. */
import { inflateSync } from 'node:zlib'

/** The pixels of a PNG of one bit each, as a reader wants them. */
export function pixelsOf(file: Buffer) {
  const size = file.readUInt32BE(16)
  const length = file.readUInt32BE(33)
  const raw = inflateSync(file.subarray(41, 41 + length))
  const rowBytes = 1 + Math.ceil(size / 8)
  const data = new Uint8Array(size * size * 3)
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      const bit = (raw[y * rowBytes + 1 + (x >> 3)]! >> (7 - (x & 7))) & 1
      data.fill(bit * 255, (y * size + x) * 3, (y * size + x) * 3 + 3)
    }
  }
  return { width: size, height: size, data }
}
