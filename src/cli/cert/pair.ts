/**
 * A certificate with its key and its chain: read from an answer, or from files.
 *
 * Owns that the two belong together; one whose key is another's is no pair. The key stands in no
 * error.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'

/** What is kept for a program that serves by it. Texts are PEM, each ended by a line end. */
export interface Pair {
  readonly certificate: string
  readonly key: string
  /** Who signed it, and who signed that, without the certificate itself. */
  readonly chain: string
  /** Lower hex with colons between. */
  readonly serial: string
  /** What it is for, as `DNS:www.example.com, IP Address:10.0.0.1`. */
  readonly names: string
  readonly fromMs: number
  readonly untilMs: number
}

/** Reads a pair; throws where a text is no certificate or key, or the key is not its own. */
export function pairOf(texts: Pick<Pair, 'certificate' | 'key' | 'chain'>): Pair {
  const leaf = new X509Certificate(texts.certificate)
  if (!leaf.checkPrivateKey(keyOf(texts.key))) {
    throw new Error('the key is not that of the certificate')
  }
  return {
    certificate: ended(texts.certificate),
    key: ended(texts.key),
    chain: texts.chain === '' ? '' : ended(texts.chain),
    serial: leaf.serialNumber.toLowerCase().replace(/..(?=.)/g, '$&:'),
    names: leaf.subjectAltName ?? leaf.subject.replaceAll('\n', ', '),
    fromMs: leaf.validFromDate.getTime(),
    untilMs: leaf.validToDate.getTime(),
  }
}

function keyOf(text: string): KeyObject {
  try {
    return createPrivateKey(text)
  } catch {
    // What node says may hold a part of it.
    throw new Error('the key is not readable')
  }
}

const ended = (text: string): string => `${text.trimEnd()}\n`
