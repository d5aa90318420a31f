/**
 * Answers that were waited for: those of one turn leave right behind each other.
 *
 * Owns what waits for the end of the turn, and the memory that all of it is written from. To write
 * to a socket wakes its reader, and where that is on the same machine the writer pays; one that is
 * awake takes the next answers at half the price. So the writes come together, and what Node has to
 * do for each answer comes behind them. Of thousands who are woken by one change each gets the same
 * but for the id of its request: that is put into the bytes of the answer before. Rests on what
 * node:http does inside, as one-piece.ts does: where anything of it is not as it is known, Node is
 * left to it.
 */
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { limits } from '../limits.ts'
import {
  endPiece,
  endText,
  type HeadMade,
  type Inner,
  idPlace,
  isFree,
  isSameButId,
  isSecure,
  putId,
  SENT,
} from './one-piece.ts'

/** An answer that leaves at the end of this turn. */
interface Held {
  readonly response: ServerResponse
  readonly socket: Socket
  readonly id: string
  /** Undefined where all but the id is as in the one before. */
  readonly whole: string | undefined
}

/** An answer as it was given, whose lines may change since. */
interface Given extends HeadMade {
  readonly body: string
}

let held: Held[] = []
/** The last one that is held, if the next may be like it. */
let last: Given | undefined
let piece: Buffer | undefined

/**
 * Answers, with all others that are answered in this turn. `lines` are names and values, of which
 * the first is the id of the request; `body` is a string of bytes. Says false where that cannot be,
 * and has done nothing then.
 */
export function leaveTogether(
  response: ServerResponse,
  status: number,
  lines: string[],
  body: string,
): boolean {
  const { socket } = response
  if (socket === null || !isFree(response)) return false
  const inner = response as Inner
  let whole: string | undefined
  if (
    inner.shouldKeepAlive !== true ||
    last?.body !== body ||
    !isSameButId(last, { status, lines })
  ) {
    last = undefined
    response.writeHead(status, lines)
    whole = inner._header + body
    if (inner._hasBody !== true || whole.length > limits.answerTogetherSizeBytes) {
      endText(response, body)
      return true
    }
    // What `Connection: close` stands in was written for one answer.
    if (inner._last === false) last = { status, lines: lines.slice(), body }
  }
  inner._header = SENT
  inner._headerSent = true
  held.push({ response, socket, id: lines[1] ?? '', whole })
  // Whoever answers more sees by the clock what it takes.
  if (held.length === limits.answersTogether) leave()
  else if (held.length === 1) process.nextTick(leave)
  return true
}

function leave(): void {
  const all = held
  held = []
  last = undefined
  let bytes: Buffer = NOTHING
  let idAt = 0
  for (const { response, socket, id, whole } of all) {
    if (whole === undefined) putId(bytes, idAt, id)
    else {
      piece ??= Buffer.allocUnsafeSlow(limits.answerTogetherSizeBytes)
      piece.write(whole, 0, 'latin1')
      bytes = piece.subarray(0, whole.length)
      idAt = idPlace(whole)
    }
    if (isSecure(response)) {
      endPiece(response, bytes)
      continue
    }
    socket.write(bytes)
    if (socket.writableLength === 0) continue
    // The system takes the rest later, from there.
    const copy = Buffer.allocUnsafeSlow(bytes.length)
    bytes.copy(copy)
    bytes = copy
    piece = undefined
  }
  for (const { response } of all) if (!response.writableEnded) response.end()
}

const NOTHING = Buffer.alloc(0)
