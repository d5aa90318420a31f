/**
 * Answers that are given again over TLS: the bytes of the one before, with another id and date.
 *
 * Owns those bytes, head and body in one memory that belongs to the kept answer. What is one buffer
 * Node encrypts from where it lies, before the call returns, so that nothing is copied and no head
 * is built. In clear the system may take the bytes later, so that it is not done there. Rests on
 * what node:http does inside, as one-piece.ts does: where anything of it is not as it is known,
 * Node is left to it.
 */
import type { ServerResponse } from 'node:http'
import { SECOND_MS } from '../duration.ts'
import { limits } from '../limits.ts'
import {
  endPiece,
  endWhole,
  type HeadMade,
  type Inner,
  idPlace,
  isFree,
  isSameButId,
  isSecure,
  putId,
  SENT,
} from './one-piece.ts'

/** An answer that is kept, with what is known of how it was sent. */
export interface Kept {
  /** The body; once it is kept behind a head, a part of that memory. */
  chunks: readonly Buffer[]
  readonly sizeBytes: number
  /** Undefined until it was sent over TLS. */
  again: Again | undefined
}

export interface Again {
  /** When it was sent last, in seconds; the date in its bytes says that. */
  second: number
  /** Undefined until it was sent twice in one second. */
  whole: Whole | undefined
}

interface Whole extends HeadMade {
  readonly bytes: Buffer
  readonly idAt: number
  readonly dateAt: number
}

/**
 * Answers with what is kept, where that may be and was asked for a moment ago. `lines` are names
 * and values, of which the first is the id of the request. Says false where it may not, and has
 * done nothing then.
 */
export function answerAgain(
  response: ServerResponse,
  status: number,
  lines: string[],
  kept: Kept,
): boolean {
  if (!isSecure(response) || !isFree(response)) return false
  if ((response as Inner).shouldKeepAlive !== true) return false
  const second = Math.floor(Date.now() / SECOND_MS)
  const { again } = kept
  if (again === undefined) {
    kept.again = { second, whole: undefined }
    return false
  }
  const isSameSecond = again.second === second
  again.second = second
  const { whole } = again
  if (whole === undefined || !isSameButId(whole, { status, lines })) {
    again.whole = undefined
    // What is asked for once in a while is not worth the work.
    if (!isSameSecond || kept.sizeBytes > limits.answerPieceSizeBytes) return false
    again.whole = sendNew(response, status, lines, kept)
    return true
  }
  const { bytes, idAt, dateAt } = whole
  putId(bytes, idAt, lines[1]!)
  // In the form of RFC 9110, 5.6.7, whose length is always the same.
  if (!isSameSecond) bytes.write(new Date(second * SECOND_MS).toUTCString(), dateAt, 'latin1')
  const inner = response as Inner
  inner._header = SENT
  endPiece(response, bytes)
  return true
}

/** Answers, and gives the bytes where only the id and the date in them were for one answer. */
function sendNew(
  response: ServerResponse,
  status: number,
  lines: string[],
  kept: Kept,
): Whole | undefined {
  response.writeHead(status, lines)
  const { _header: head, _last: isLast } = response as Inner
  const dateAt = typeof head === 'string' ? head.indexOf(DATE) + DATE.length : -1
  // What `Connection: close` stands in was written for one answer.
  if (typeof head !== 'string' || isLast !== false || dateAt < DATE.length) {
    endWhole(response, kept.chunks)
    return undefined
  }
  const bytes = Buffer.allocUnsafeSlow(head.length + kept.sizeBytes)
  let at = bytes.write(head, 0, 'latin1')
  const body = bytes.subarray(at)
  for (const chunk of kept.chunks) at += chunk.copy(bytes, at)
  kept.chunks = [body]
  endPiece(response, bytes)
  return { bytes, status, lines: lines.slice(), idAt: idPlace(head), dateAt }
}

const DATE = '\r\nDate: '
