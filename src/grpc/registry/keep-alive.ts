/**
 * A stream that keeps something alive as long as it lives itself.
 *
 * Owns the pace: each message is a renewal, and between them the server renews in each third of the
 * TTL. When the stream ends nothing is done: the TTL that was renewed last decides.
 */
import type { Clock, Timer } from '../../base/clock.ts'
import { OperatingError, Refusal } from '../../base/errors.ts'
import type { GrpcCall, GrpcIn, GrpcOut } from '../declare.ts'

/** What became of a renewal. */
export interface Renewed<A> {
  readonly answer: A
  /** 0 where it lives without renewals. */
  readonly ttlMs: number
}

export interface KeptAlive<Q, A> {
  /** What a message is about: the same for all messages of a stream. */
  idOf(message: Q): string
  renew(message: Q): Promise<Renewed<A> | Refusal>
}

const PARTS = 3
const OTHER = new Refusal(400, 'The messages of one stream are all about the same')

/** Takes the messages of a stream; each renewal is answered while the client reads on. */
export function keepAlive<Q, A>(
  clock: Pick<Clock, 'after'>,
  { signal }: GrpcCall,
  out: GrpcOut<A>,
  { idOf, renew }: KeptAlive<Q, A>,
): GrpcIn<Q> {
  let id: string | undefined
  let last: Q | undefined
  let timer: Timer | undefined
  let isOver = false
  let mayTell = true
  const stop = (): void => {
    isOver = true
    timer?.clear()
  }
  const end = (refusal?: Refusal): void => {
    if (isOver) return
    stop()
    out.end(refusal)
  }
  const tell = (answer: A): void => {
    // A client that does not read is renewed for all the same, and told nothing meanwhile.
    if (!mayTell || out.send(answer)) return
    mayTell = false
    void out.drained().then(() => {
      mayTell = true
    })
  }
  const schedule = (ttlMs: number): void => {
    timer?.clear()
    if (isOver || ttlMs <= 0) return
    timer = clock.after(ttlMs / PARTS, () => {
      again(ttlMs).catch((error: unknown) => {
        // The store cannot be reached: the TTL may still be long enough until it can.
        if (error instanceof OperatingError) schedule(ttlMs)
        else end(new Refusal(500, 'the renewal failed'))
      })
    })
  }
  /** Renews for the last message; `ttlMs` is the pace where the renewal says none. */
  const again = async (ttlMs: number): Promise<void> => {
    if (last === undefined || isOver) return
    const renewed = await renew(last)
    if (isOver) return
    if (renewed instanceof Refusal) {
      end(renewed)
      return
    }
    tell(renewed.answer)
    schedule(renewed.ttlMs || ttlMs)
  }
  signal.addEventListener('abort', stop, { once: true })
  return {
    async onMessage(message) {
      id ??= idOf(message)
      if (idOf(message) !== id) {
        end(OTHER)
        return
      }
      last = message
      await again(0)
    },
    onEnd: () => end(),
  }
}
