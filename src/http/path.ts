/**
 * Paths: decoded once, before anything is authorised, and the same bytes are then executed.
 *
 * Owns percent-decoding of the open part and the cleaning of paths, as Go's mux does it.
 */
import { type Bytes, toText } from '../base/bytes.ts'
import { Refusal } from '../base/errors.ts'

export interface OpenPart {
  readonly name: string
  readonly bytes: Bytes
}

const NO_PART: OpenPart = { name: '', bytes: '' }
const PLAIN = /^[A-Za-z0-9_.~\-/:@!$&'()*+,;=]*$/

/**
 * The part of a raw path behind its fixed prefix, decoded once. 400 for bad escapes, and for
 * characters that cannot be printed unless these are taken.
 */
export function readOpenPart(
  path: string,
  prefix: string,
  takesUnprintable = false,
): OpenPart | Refusal {
  const raw = path.slice(prefix.length)
  if (raw === '') return NO_PART
  if (PLAIN.test(raw)) return { name: raw, bytes: raw }
  const bytes = decodePercent(raw)
  if (bytes === undefined) return new Refusal(400, '')
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the ones to refuse
  if (!takesUnprintable && /[\x00-\x1f\x7f]/.test(bytes)) return new Refusal(400, '')
  return { name: toText(bytes), bytes }
}

function decodePercent(raw: string): Bytes | undefined {
  // The request line is bytes; Node gives it as latin1, one character a byte.
  let bytes = ''
  for (let i = 0; i < raw.length; i++) {
    if (raw[i] !== '%') {
      bytes += raw[i]
      continue
    }
    const hex = raw.slice(i + 1, i + 3)
    if (!/^[0-9a-fA-F]{2}$/.test(hex)) return undefined
    bytes += String.fromCharCode(Number.parseInt(hex, 16))
    i += 2
  }
  return bytes
}

/** The path of a request's target, as it came. */
export function pathIn(target: string): string {
  const mark = target.indexOf('?')
  return mark === -1 ? target : target.slice(0, mark)
}

/** What stands behind the first `?` of a request's target, '' for nothing. */
export function queryIn(target: string): string {
  const mark = target.indexOf('?')
  return mark === -1 ? '' : target.slice(mark + 1)
}

/** Whether a raw path has empty, '.' or '..' segments, which Go's mux redirects away. */
export const isUnclean = (path: string): boolean => /\/\/|\/\.\.?(\/|$)/.test(path)

/** The path without them; a trailing slash is kept. */
export function cleanPath(path: string): string {
  const kept: string[] = []
  for (const segment of path.split('/')) {
    if (segment === '..') kept.pop()
    else if (segment !== '' && segment !== '.') kept.push(segment)
  }
  const trailing = /\/\.{0,2}$/.test(path) && kept.length > 0 ? '/' : ''
  return `/${kept.join('/')}${trailing}`
}
