/**
 * Bodies of requests: decoded as their operation declares them, or taken as they come.
 *
 * Owns how a request's bytes are handed on piece by piece, no faster than they are taken, and that
 * what nobody takes is let go by, so that the answer arrives and the connection lives on.
 */
import type { IncomingMessage } from 'node:http'
import { Refusal } from '../base/errors.ts'
import type { Acting } from './declare.ts'
import { decodeBody, ShapeError } from './shape.ts'

/** The pieces of a body. Throws when the client leaves in the middle. */
export async function* piecesOf(message: IncomingMessage): AsyncGenerator<Buffer, void, undefined> {
  const pieces: Buffer[] = []
  let wake = (): void => {}
  const take = (piece: Buffer): void => {
    pieces.push(piece)
    message.pause()
    wake()
  }
  const note = (): void => wake()
  message.on('data', take)
  message.on('end', note).on('close', note).on('error', note)
  try {
    for (;;) {
      for (let piece = pieces.shift(); piece !== undefined; piece = pieces.shift()) yield piece
      if (message.readableEnded) return
      if (message.destroyed) throw new Error('the client left before the end of the body')
      await new Promise<void>(resolve => {
        wake = resolve
        message.resume()
      })
    }
  } finally {
    message.off('data', take)
    message.off('end', note).off('close', note)
    message.resume()
  }
}

/** The body of a request as its operation declares it; or why it is none. */
export function bodyOf(
  { body: declared }: Acting<Record<string, never>, unknown>,
  body: Buffer,
): unknown {
  if (declared === undefined || 'stream' in declared) return undefined
  if ('raw' in declared) return body
  if (declared.optional === true && body.length === 0) return declared.shape.zero()
  try {
    return decodeBody(declared.shape, body)
  } catch (error) {
    if (error instanceof ShapeError)
      return new Refusal(400, `${declared.failure}: ${error.message}`)
    throw error
  }
}
