/**
 * Streams that keep something alive: their pace, by a clock of the test's own.
 */
import t from 'tap'
import { OperatingCode, OperatingError, Refusal } from '../../../src/base/errors.ts'
import type { GrpcCall } from '../../../src/grpc/declare.ts'
import { keepAlive, type Renewed } from '../../../src/grpc/registry/keep-alive.ts'
import { FakeClock } from '../../fake/clock.ts'

const TTL_MS = 900

/** A stream whose renewals a test decides about. */
function stream(renew: (times: number) => Renewed<string> | Refusal | Error) {
  const clock = new FakeClock()
  const gone = new AbortController()
  const told: string[] = []
  let times = 0
  let isSlow = false
  let drained = (): void => {}
  let ended: Refusal | 'well' | undefined
  const kept = keepAlive<string, string>(
    clock,
    { signal: gone.signal } as GrpcCall,
    {
      send(answer) {
        told.push(answer as string)
        return !isSlow
      },
      drained: () => new Promise(resolve => (drained = resolve)),
      end(refusal) {
        ended = (refusal as Refusal | undefined) ?? 'well'
      },
    },
    {
      idOf: message => message.slice(0, 1),
      async renew() {
        const outcome = renew(times++)
        if (outcome instanceof Error) throw outcome
        return outcome
      },
    },
  )
  return {
    ...{ clock, kept, told, gone },
    times: () => times,
    ended: () => ended,
    slow: (is: boolean) => {
      isSlow = is
      if (!is) drained()
    },
  }
}

const well = (answer: string, ttlMs = TTL_MS) => ({ answer, ttlMs })

t.test('between messages the server renews in each third of the TTL', async t => {
  const { clock, kept, told, times, ended } = stream(at => well(`${at}`))
  await kept.onMessage('a1')
  t.strictSame(told, ['0'])
  await clock.advance(299)
  t.equal(times(), 1)
  await clock.advance(1)
  t.equal(times(), 2)
  await clock.advance(200)
  await kept.onMessage('a2')
  await clock.advance(299)
  t.equal(times(), 3, 'a message is a renewal: the third begins with it')
  await clock.advance(600)
  t.equal(times(), 5)
  kept.onEnd()
  t.equal(ended(), 'well')
  await clock.advance(10_000)
  t.equal(times(), 5, 'nobody renews for who is gone')
})

t.test('what lives without renewals is not renewed', async t => {
  const { clock, kept, times } = stream(at => well(`${at}`, 0))
  await kept.onMessage('a')
  await clock.advance(100_000)
  t.equal(times(), 1)
})

t.test('a store that cannot be reached is tried again; a refusal ends the stream', async t => {
  const lost = new OperatingError(OperatingCode.unavailable, 'no quorum')
  const gone = new Refusal(404, 'gone')
  const { clock, kept, times, ended } = stream(at => (at === 0 ? well('0') : at < 3 ? lost : gone))
  await kept.onMessage('a')
  await clock.advance(300)
  await clock.advance(300)
  t.equal(times(), 3)
  t.equal(ended(), undefined)
  await clock.advance(300)
  t.equal(ended(), gone)
  await clock.advance(10_000)
  t.equal(times(), 4)
})

t.test('who does not read is renewed for, and told nothing meanwhile', async t => {
  const { clock, kept, told, times, slow } = stream(at => well(`${at}`))
  slow(true)
  await kept.onMessage('a')
  for (let at = 0; at < 5; at++) await clock.advance(300)
  t.equal(times(), 6)
  t.strictSame(told, ['0'])
  slow(false)
  await clock.advance(300)
  t.strictSame(told, ['0', '6'])
})

t.test('a stream is about one thing, and over when its caller left', async t => {
  const mixed = stream(at => well(`${at}`))
  await mixed.kept.onMessage('a')
  await mixed.kept.onMessage('b')
  t.match(mixed.ended(), { status: 400 })
  const left = stream(at => well(`${at}`))
  await left.kept.onMessage('a')
  left.gone.abort()
  await left.clock.advance(10_000)
  t.equal(left.times(), 1)
})
