/**
 * Answers that are told by whoever makes them: frames go out as they come, to a client that may be
 * one of ten thousand.
 *
 * Owns how a frame reaches the connection. Frames come as chunks of HTTP/1.1 already, so that all
 * readers of one frame share its bytes and each costs one write to a socket; where the way is
 * another one (HTTP/1.0, a forwarded request), the chunks are taken apart again.
 */
import type { ServerResponse } from 'node:http'

/** Where a pushed answer goes. */
export interface PushSink {
  /** Writes a frame. False: it was not taken yet, and `drained` tells when it was. */
  write(frame: Buffer): boolean
  /** Ends the answer in order. */
  end(): void
  /** Whether what waits is a copy of the frame, as on a connection that is encrypted. */
  readonly isCopying: boolean
}

/** An answer that its maker pushes, such as a feed. */
export interface PushedReply {
  readonly status: number
  readonly type: string
  readonly headers?: Readonly<Record<string, string>>
  /** The head is sent: frames may be from now on. `drained` is told after a false `write`. */
  begin(sink: PushSink): { readonly drained: () => void }
  /** The client has left, or the answer failed before it began. */
  leave(): void
}

const CRLF = '\r\n'

/** A frame as a chunk of HTTP/1.1. */
export function chunkOf(text: string): Buffer {
  const sizeBytes = Buffer.byteLength(text)
  return Buffer.from(`${sizeBytes.toString(16)}${CRLF}${text}${CRLF}`, 'utf8')
}

/** What is in one or several chunks. */
function unchunked(frame: Buffer): Buffer {
  const parts: Buffer[] = []
  for (let at = 0; at < frame.length; ) {
    const lineEnd = frame.indexOf(CRLF, at)
    const from = lineEnd + CRLF.length
    const to = from + Number.parseInt(frame.toString('latin1', at, lineEnd), 16)
    parts.push(frame.subarray(from, to))
    at = to + CRLF.length
  }
  return parts.length === 1 ? parts[0]! : Buffer.concat(parts)
}

/** Whether an answer that goes on is no fault of a client that does not read. */
export interface GoesOn extends ServerResponse {
  goesOn?: boolean
}

/** Sends the head of a pushed answer and lets it begin. */
export function push(response: ServerResponse, lines: readonly string[], reply: PushedReply): void {
  if (response.destroyed) {
    reply.leave()
    return
  }
  const goesOn: GoesOn = response
  goesOn.goesOn = true
  response.writeHead(reply.status, lines as string[])
  response.flushHeaders()
  const { socket } = response
  // With nothing of its own before it in the way, what goes to the socket goes in order.
  const isDirect =
    socket instanceof Object && response.chunkedEncoding && response.writableLength === 0
  const target = isDirect ? socket! : response
  let isOver = false
  const { drained } = reply.begin({
    write(frame) {
      if (isOver) return true
      const isTaken = target.write(isDirect ? frame : unchunked(frame), taken)
      return isTaken && target.writableLength === 0
    },
    end() {
      isOver = true
      response.end()
    },
    isCopying: socket instanceof Object && 'encrypted' in socket,
  })
  function taken(): void {
    if (!isOver && target.writableLength === 0) drained()
  }
}
