/**
 * PEM (RFC 7468): texts of labelled blocks around DER.
 *
 * Owns the text form alone; what is in a block is for others to read.
 */
import { limits } from '../base/limits.ts'
import { DerError } from './der.ts'

/** One block of a text. */
export interface PemBlock {
  readonly label: string
  readonly der: Buffer
}

/** A PEM text of one block. */
export function pemOf(label: string, der: Buffer): string {
  const COLUMNS = 64
  const text = der.toString('base64')
  let lines = ''
  for (let at = 0; at < text.length; at += COLUMNS) lines += `${text.slice(at, at + COLUMNS)}\n`
  return `-----BEGIN ${label}-----\n${lines}-----END ${label}-----\n`
}

/**
 * All blocks of a text, in order; what stands between them is passed over. Throws DerError where a
 * block is not ended, is not base64, carries headers, or where there are too many.
 */
export function pemBlocks(text: string): PemBlock[] {
  const blocks: PemBlock[] = []
  const begin = /-----BEGIN ([A-Z0-9 ]{1,64})-----/g
  for (let found = begin.exec(text); found !== null; found = begin.exec(text)) {
    const label = found[1] ?? ''
    const end = text.indexOf(`-----END ${label}-----`, begin.lastIndex)
    if (end === -1) throw new DerError('a PEM block without an end')
    if (blocks.length >= limits.pemBlocks) throw new DerError('too many PEM blocks')
    blocks.push({ label, der: base64Of(text.slice(begin.lastIndex, end)) })
    begin.lastIndex = end
  }
  return blocks
}

function base64Of(text: string): Buffer {
  const plain = text.replace(/\s+/g, '')
  if (plain === '' || plain.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(plain)) {
    throw new DerError('a PEM block that is not base64')
  }
  return Buffer.from(plain, 'base64')
}
