/**
 * The ends of answers: over TLS in one piece of memory, in clear as one text.
 *
 * Owns the memory in which head and body of an answer come together. Node would take new memory for
 * each answer that it encrypts, copy both into it and give it back; what is one buffer already it
 * encrypts from where it lies, before the call returns, so that all answers share ours. Rests on
 * what node:http does inside (docs/hacking.md): where anything of it is not as it is known, and
 * where the connection still has to send something else, Node is left to it. Memory must
 * not be shared in clear: there the system may take the bytes later.
 */
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { limits } from '../limits.ts'

let piece: Buffer | undefined

/** What node keeps at an answer and at a connection, and its types leave out. */
export interface Inner {
  _header?: string | null
  _headerSent?: boolean
  readonly _hasBody?: boolean
  readonly _last?: boolean
  readonly shouldKeepAlive?: boolean
}
type InnerSocket = Socket & { readonly encrypted?: boolean; readonly _httpMessage?: unknown }

/** What a head was made of: names and values, of which the first is the id of the request. */
export interface HeadMade {
  readonly status: number
  readonly lines: readonly string[]
}

/** Whether two heads have the same bytes, and as many, but for the id and the date. */
export function isSameButId(one: HeadMade, other: HeadMade): boolean {
  const { lines } = one
  const { lines: others } = other
  if (one.status !== other.status || lines.length !== others.length) return false
  if (lines[0] !== others[0] || lines[1]?.length !== others[1]?.length) return false
  for (let at = 2; at < lines.length; at++) if (lines[at] !== others[at]) return false
  return true
}

/** Where the id stands in a head that such lines were made to: behind the name of the first. */
export const idPlace = (head: string): number => head.indexOf(': ') + 2

/** Puts an id in the place of one that is as long. */
export function putId(bytes: Buffer, place: number, id: string): void {
  for (let at = 0; at < id.length; at++) bytes[place + at] = id.charCodeAt(at)
}

/** Stands for the head of what was sent. */
export const SENT = 'sent'

/**
 * An answer that was waited for has grown old, and would keep its head until the old are collected:
 * thousands who are woken together had the collector copy all of those heads.
 */
function letGoOfHead(response: Inner): void {
  if (response._headerSent === true && typeof response._header === 'string') response._header = SENT
}

/**
 * Ends an answer whose head was written (`writeHead`), in clear or not, with a string of bytes:
 * Node makes one text of both.
 */
export function endText(response: ServerResponse, text: string): void {
  response.end(text, 'latin1')
  letGoOfHead(response as Inner)
}

/** Ends an answer whose head was written (`writeHead`), with its body. */
export function endWhole(response: ServerResponse, chunks: readonly Buffer[]): void {
  const whole = inOnePiece(response, chunks)
  if (whole !== undefined) {
    endPiece(response, whole)
    return
  }
  const [first, second] = chunks
  if (second === undefined) {
    response.end(first)
    return
  }
  response.cork()
  for (const chunk of chunks) response.write(chunk)
  response.uncork()
  response.end()
}

/** Ends an answer over TLS with its bytes, head and body, that others send too. */
export function endPiece(response: ServerResponse, whole: Buffer): void {
  ;(response as Inner)._headerSent = true
  response.end(whole)
  letGoOfHead(response as Inner)
}

/** Head and body behind each other; undefined where they may not be sent so. */
function inOnePiece(response: ServerResponse, chunks: readonly Buffer[]): Buffer | undefined {
  const { _header: head, _headerSent: isSent, _hasBody: hasBody } = response as Inner
  if (!isSecure(response) || !isIdle(response) || typeof head !== 'string' || isSent !== false)
    return undefined
  if (hasBody !== true) return undefined
  let sizeBytes = head.length
  for (const chunk of chunks) sizeBytes += chunk.length
  if (sizeBytes > limits.answerPieceSizeBytes) return undefined
  piece ??= Buffer.allocUnsafeSlow(limits.answerPieceSizeBytes)
  let at = piece.write(head, 0, 'latin1')
  for (const chunk of chunks) at += chunk.copy(piece, at)
  return piece.subarray(0, at)
}

/** Whether an answer goes over TLS, so that it is encrypted before the call returns. */
export const isSecure = ({ socket }: ServerResponse): boolean =>
  (socket as InnerSocket | null)?.encrypted === true

/** Whether nothing was written of an answer yet, and it may be written at once, with a body. */
export function isFree(response: ServerResponse): boolean {
  const { _header: head, _hasBody: hasBody } = response as Inner
  return head === null && hasBody === true && isIdle(response)
}

/** Whether what is written now goes to the connection before the call returns. */
function isIdle(response: ServerResponse): boolean {
  // An answer that another agent passes on has none.
  const socket = response.socket as InnerSocket | null | undefined
  return (
    socket !== undefined &&
    socket !== null &&
    // The answer before this one is through, and nothing of it waits.
    socket._httpMessage === response &&
    socket.writableLength === 0 &&
    socket.writableCorked === 0
  )
}
