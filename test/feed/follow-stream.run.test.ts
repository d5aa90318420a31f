/** Whole state over event streams: losses, resume tokens, resyncs, silence, other places. */
import t, { type Test } from 'tap'
import { NOTHING_SEEN } from '../../src/feed/follow.ts'
import {
  followStream,
  type StreamAnswer,
  type StreamOpener,
} from '../../src/feed/follow-stream.run.ts'
import { FakeClock, settled } from '../fake/clock.ts'

const random = { uuid: () => '', fraction: () => 1, bytes: () => Buffer.alloc(0) }

/** A stream whose events a test sends. */
class Sent implements StreamAnswer {
  readonly status: number
  #chunks: (Buffer | undefined | Error)[] = []
  #wake = (): void => {}

  constructor(status = 200) {
    this.status = status
  }

  send(event: string, data: object, id?: string): void {
    const line = id === undefined ? '' : `id: ${id}\n`
    this.put(Buffer.from(`event: ${event}\n${line}data: ${JSON.stringify(data)}\n\n`))
  }

  put(chunk: Buffer | undefined | Error): void {
    this.#chunks.push(chunk)
    this.#wake()
  }

  end(): void {
    this.put(undefined)
  }

  get body(): AsyncIterable<Buffer> {
    return this.#read()
  }

  async *#read(): AsyncGenerator<Buffer> {
    for (;;) {
      while (this.#chunks.length === 0) {
        await new Promise<void>(resolve => {
          this.#wake = resolve
        })
      }
      const chunk = this.#chunks.shift()
      if (chunk === undefined) return
      if (chunk instanceof Error) throw chunk
      yield chunk
    }
  }
}

function start(t: Test, subject = 'web') {
  const clock = new FakeClock()
  const asked: string[] = []
  const streams: Sent[] = []
  let next: () => Sent | Error = () => new Sent()
  const open: StreamOpener = async (path, query, tries, signal) => {
    asked.push(`${path} ${query.filter ?? ''} ${query.resume ?? ''} ${tries}`)
    const sent = next()
    if (sent instanceof Error) throw sent
    signal.addEventListener('abort', () => sent.put(new Error('aborted')))
    streams.push(sent)
    return sent
  }
  const told: unknown[] = []
  const following = followStream({ clock, random, open }).follow(
    { topic: 'health', subject, filter: 'x' },
    {
      state: (items, revision) => told.push([revision, Object.fromEntries(items)]),
      lost: problem => told.push(problem),
    },
  )
  t.teardown(() => following.stop())
  const heard = async (): Promise<unknown[]> => {
    await settled()
    return told.splice(0)
  }
  const gives = (what: () => Sent | Error): void => {
    next = what
  }
  return { clock, asked, streams, heard, gives, following }
}

const item = (key: string, value: unknown) => ({ key, revision: 1, value })

t.test('a snapshot in parts, then deltas', async t => {
  const { streams, heard, asked } = start(t, 'a b/ü')
  t.same(await heard(), [])
  t.same(asked, ['/v1/feed/health/a%20b/%C3%BC x  0'])
  const [stream] = streams as [Sent]
  stream.send('snapshot', { revision: 5, items: [item('a', 1)] })
  t.same(await heard(), [], 'not whole')
  stream.send('snapshot', { revision: 5, items: [item('b', 2)], last: true }, 't1')
  t.same(await heard(), [[5, { a: 1, b: 2 }]])
  stream.send('delta', { revision: 6, upserts: [item('c', 3)], deletes: ['a'] }, 't2')
  t.same(await heard(), [[6, { b: 2, c: 3 }]])
  stream.send('delta', { revision: 7, upserts: [item('d', 4)], deletes: ['c'] })
  t.same(await heard(), [], 'half of a delta')
  stream.send('delta', { revision: 7, upserts: [item('e', 5)], deletes: [] }, 't3')
  t.same(await heard(), [[7, { b: 2, d: 4, e: 5 }]])
  stream.send('heartbeat', { revision: 9 }, 't4')
  t.same(await heard(), [], 'nothing changed')
})

t.test('after a loss it goes on from its token, at another place', async t => {
  const { streams, heard, asked, clock, gives } = start(t)
  await heard()
  streams[0]!.send('snapshot', { revision: 5, items: [item('a', 1)], last: true }, 't1')
  await heard()
  gives(() => new Error('connection refused'))
  streams[0]!.end()
  t.same(await heard(), ['the stream ended'])
  await clock.advance(200)
  t.same(await heard(), ['connection refused'])
  gives(() => new Sent())
  await clock.advance(400)
  t.same(asked.slice(1), ['/v1/feed/health/web x t1 1', '/v1/feed/health/web x t1 2'])
  t.same(await heard(), [])
  streams[1]!.send('heartbeat', { revision: 5 }, 't1')
  t.same(await heard(), [[5, { a: 1 }]], 'it is told again, although nothing changed')
  streams[1]!.send('delta', { revision: 6, upserts: [item('a', 2)], deletes: [] }, 't2')
  t.same(await heard(), [[6, { a: 2 }]])
})

t.test('a resync takes the place of all that was', async t => {
  const { streams, heard } = start(t)
  await heard()
  const [stream] = streams as [Sent]
  stream.send('snapshot', { revision: 5, items: [item('a', 1)], last: true }, 't1')
  await heard()
  stream.send('resync', { reason: 'restored' })
  stream.send('snapshot', { revision: 2, items: [item('b', 1)] })
  t.same(await heard(), [], 'the old state stands until the new one is whole')
  stream.send('snapshot', { revision: 2, items: [], last: true }, 't9')
  t.same(await heard(), [[2, { b: 1 }]])
})

t.test('a loss in mid-snapshot begins anew', async t => {
  const { streams, heard, asked, clock } = start(t)
  await heard()
  streams[0]!.send('snapshot', { revision: 5, items: [item('a', 1)] })
  streams[0]!.end()
  await heard()
  await clock.advance(200)
  streams[1]!.send('snapshot', { revision: 6, items: [item('b', 1)], last: true }, 't1')
  t.same(await heard(), [[6, { b: 1 }]])
  t.match(asked[1], /x {2}1$/)
})

t.test('a silent stream is given up', async t => {
  const { streams, heard, clock } = start(t)
  await heard()
  streams[0]!.send('snapshot', { revision: 5, items: [], last: true }, 't1')
  await heard()
  await clock.advance(15_000)
  streams[0]!.send('heartbeat', { revision: 5 }, 't1')
  await clock.advance(15_000)
  t.same(await heard(), [])
  await clock.advance(5_000)
  t.same(await heard(), ['the stream fell silent'])
})

t.test('a refusal is told; a token that is not taken is dropped', async t => {
  const { streams, heard, asked, clock, gives } = start(t)
  await heard()
  streams[0]!.send('snapshot', { revision: 5, items: [], last: true }, 't1')
  streams[0]!.send('error', { status: 403, text: 'Permission denied' })
  t.same(await heard(), [[5, {}], 'Permission denied'])
  gives(() => {
    const sent = new Sent(400)
    sent.put(Buffer.from('Invalid resume token\n'))
    sent.end()
    return sent
  })
  await clock.advance(200)
  t.same(await heard(), ['answered 400: Invalid resume token'])
  await clock.advance(400)
  t.match(asked[2], /x {2}2$/)
})

t.test('tries come later each time, up to a bound; stopped is stopped', async t => {
  const { heard, asked, clock, gives, following } = start(t)
  gives(() => new Error('refused'))
  await heard()
  await clock.advance(300_000)
  const perMinute = asked.length / 5
  t.ok(perMinute > 3 && perMinute < 7, `${asked.length} tries`)
  following.stop()
  await settled()
  const count = asked.length
  await clock.advance(300_000)
  t.equal(asked.length, count)
  t.equal(clock.timers, 0)
})

t.test('what looks empty only to who lacks rights is no state', async t => {
  const { streams, heard } = start(t)
  await heard()
  const [stream] = streams as [Sent]
  stream.send('snapshot', { revision: 5, items: [item('a', 1)], last: true }, 't1')
  stream.send('resync', { reason: 'rights' })
  stream.send('snapshot', { revision: 5, items: [], last: true, filtered: true }, 't2')
  stream.send('heartbeat', { revision: 5 }, 't2')
  t.same(await heard(), [[5, { a: 1 }], NOTHING_SEEN])
  stream.send('resync', { reason: 'rights' })
  stream.send('snapshot', { revision: 5, items: [item('a', 1)], last: true }, 't3')
  t.same(await heard(), [[5, { a: 1 }]])
  stream.send('delta', { revision: 6, upserts: [], deletes: ['a'] }, 't4')
  t.same(await heard(), [[6, {}]], 'what is gone is gone')
})

t.test('what is no event ends the stream, not the following', async t => {
  const { streams, heard } = start(t)
  await heard()
  streams[0]!.put(Buffer.from('event: delta\ndata: {"cut\n\n'))
  t.match(await heard(), [/JSON/])
})
