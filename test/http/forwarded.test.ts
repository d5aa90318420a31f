/**
 * Requests that other agents forwarded: they take the way of those from sockets, for the client
 * that sent them and for the agent that it spoke to.
 */
import { EventEmitter, once } from 'node:events'
import t, { type Test } from 'tap'
import type { AnswerSink, ForwardedHead } from '../../src/base/forwarding.ts'
import { type Face, startFace, until } from './harness.ts'

const AGENT = { node: 'edge-1', nodeId: '7d1c0b5e-2222-4333-8444-555566667777' }

/** One forwarded request under way, and what came of it so far. */
class Exchange implements AnswerSink {
  status = 0
  headers: Record<string, string> = {}
  readonly pieces: Buffer[] = []
  wantedBytes = 0
  outcome: 'open' | 'ended' | 'cut' = 'open'
  /** Held back where the test says when the next piece may come. */
  readonly waiting: (() => void)[] = []
  readonly #events = new EventEmitter()
  readonly #isSlow: boolean
  readonly feed: ReturnType<Face['http']['takeForwarded']>

  constructor(face: Face, head: Partial<ForwardedHead> & { target: string }, isSlow = false) {
    this.#isSlow = isSlow
    const whole = { method: 'GET', headers: {}, remote: '192.0.2.7', agent: AGENT, ...head }
    this.feed = face.http.takeForwarded(whole, this, sizeBytes => {
      this.wantedBytes += sizeBytes
    })
  }

  head(status: number, lines: readonly string[]): void {
    this.status = status
    for (let at = 0; at < lines.length; at += 2) {
      this.headers[lines[at]!.toLowerCase()] = lines[at + 1]!
    }
  }

  body(piece: Buffer, taken: () => void): void {
    this.pieces.push(piece)
    if (this.#isSlow) this.waiting.push(taken)
    else taken()
  }

  end(): void {
    this.#over('ended')
  }

  cut(): void {
    this.#over('cut')
  }

  #over(outcome: 'ended' | 'cut'): void {
    this.outcome = outcome
    this.#events.emit('over')
  }

  get text(): string {
    return Buffer.concat(this.pieces).toString('utf8')
  }

  async over(): Promise<this> {
    if (this.outcome === 'open') await once(this.#events, 'over')
    return this
  }
}

/** Sends a request with a whole body. */
function send(
  face: Face,
  method: string,
  target: string,
  body: string | Buffer = '',
  headers: Record<string, string> = {},
): Promise<Exchange> {
  const exchange = new Exchange(face, { method, target, headers })
  if (body.length > 0) exchange.feed.push(Buffer.from(body))
  exchange.feed.end()
  return exchange.over()
}

t.test('writes and reads as if they came on a socket', async t => {
  const face = await startFace(t)
  const { client } = face
  const put = await send(face, 'PUT', '/v1/kv/a%20b?flags=7', 'x'.repeat(10_000))
  t.equal(`${put.status} ${put.text}`, '200 true')
  t.equal((await client.get('/v1/kv/a%20b?raw')).text, 'x'.repeat(10_000))
  const got = await send(face, 'GET', '/v1/kv/a%20b')
  t.match(JSON.parse(got.text), [{ Key: 'a b', Flags: 7 }])
  t.ok(Number(got.headers['x-consul-index']) > 0)
  t.equal(got.headers['x-consul-lastcontact'], '0')
  t.ok(got.headers['x-request-id'])
  const zipped = await send(face, 'GET', '/v1/kv/a%20b', '', { 'accept-encoding': 'gzip' })
  t.equal(zipped.headers['content-encoding'], 'gzip')
  t.equal((await send(face, 'GET', '/v1/kv/none')).status, 404)
  t.equal((await send(face, 'GET', '/v1/nothing')).status, 404)
  t.equal((await send(face, 'GET', '/v1/kv//a')).headers.location, '/v1/kv/a')
  t.equal((await send(face, 'PATCH', '/v1/kv/a')).status, 405)
  t.equal((await send(face, 'OPTIONS', '/v1/kv/a')).headers.allow, 'OPTIONS,GET,PUT,DELETE')
  t.equal((await send(face, 'GET', 'nonsense')).status, 400)
  t.equal((await send(face, 'GET', '/v1/agent/self')).status, 404, 'whoever was asked answers that')
  const large = await send(face, 'PUT', '/v1/kv/a', Buffer.alloc(600_000))
  t.equal(large.status, 413)
  t.match(large.text, /too large.*Value exceeds/s)
})

t.test('a blocking query wakes, and is forgotten when its client leaves', async t => {
  const face = await startFace(t)
  await face.client.put('/v1/kv/w', 'one')
  const { index } = await face.client.get('/v1/kv/w')
  const waiting = new Exchange(face, { target: `/v1/kv/w?index=${index}&wait=60s` })
  waiting.feed.end()
  await face.waiting(1)
  t.equal(waiting.outcome, 'open')
  await face.client.put('/v1/kv/w', 'two')
  await waiting.over()
  t.match(JSON.parse(waiting.text), [{ Value: Buffer.from('two').toString('base64') }])
  const left = new Exchange(face, { target: '/v1/kv/w?index=99999&wait=60s' })
  left.feed.end()
  await face.waiting(1)
  left.feed.leave()
  await face.waiting(0)
  t.equal(left.outcome, 'open', 'nothing is said to nobody')
})

t.test('a long answer comes no faster than it is taken', async t => {
  const face = await startFace(t)
  for (let i = 0; i < 40; i++) await face.client.put(`/v1/kv/big/${i}`, Buffer.alloc(100_000, i))
  const slow = new Exchange(face, { target: '/v1/snapshot' }, true)
  slow.feed.end()
  await until(() => slow.waiting.length === 1)
  t.equal(slow.pieces.length, 1, 'the next waits')
  let most = 0
  while (slow.outcome === 'open') {
    await until(() => slow.waiting.length > 0 || slow.outcome !== 'open')
    most = Math.max(most, slow.waiting.length)
    slow.waiting.shift()?.()
  }
  t.equal(most, 1)
  t.equal(slow.outcome, 'ended')
  const cut = new Exchange(face, { target: '/v1/snapshot' }, true)
  cut.feed.end()
  await until(() => cut.waiting.length === 1)
  cut.feed.leave()
  const archive = Buffer.concat(slow.pieces)
  const restore = new Exchange(face, { method: 'PUT', target: '/v1/snapshot' })
  const PIECE_BYTES = 16_384
  for (let at = 0; at < archive.length; at += PIECE_BYTES) {
    restore.feed.push(archive.subarray(at, at + PIECE_BYTES))
    // What is said to be wanted makes up for what was taken, so that a window can be kept.
    await until(() => at + PIECE_BYTES - restore.wantedBytes < 4 * PIECE_BYTES)
  }
  restore.feed.end()
  await restore.over()
  t.equal(restore.status, 200)
  t.equal(restore.wantedBytes, archive.length)
})

t.test('the client is who sent it, and the agent is the one that it spoke to', async t => {
  const face = await startFace(t, {
    audit: { enabled: true },
    rates: {
      ...{ mode: 'enforcing', readPerSecond: -1, writePerSecond: -1 },
      ...{ clientReadPerSecond: 1, clientWritePerSecond: -1 },
    },
    allowWriteFrom: ['192.0.2.0/24', '127.0.0.0/8'],
  })
  const { client } = face
  const node = { Node: AGENT.node, Address: '192.0.2.1' }
  await client.put('/v1/catalog/register', node)
  const { text } = await send(face, 'PUT', '/v1/session/create', '{"NodeChecks":[]}')
  const listed = await client.get(`/v1/session/info/${JSON.parse(text).ID}`)
  t.equal(listed.json[0].Node, AGENT.node)
  const rows = await face.store.journal.read(1, 100)
  const records = rows.map(({ text }) => JSON.parse(text.toString('utf8')))
  t.match(
    records.find(({ operation }) => operation === 'PUT /v1/session/create'),
    {
      remote: '192.0.2.7',
      agent: AGENT.nodeId,
    },
  )
  t.notOk('agent' in records.find(({ operation }) => operation === 'PUT /v1/catalog/register')!)
  const foreign = new Exchange(face, {
    ...{ method: 'PUT', target: '/v1/kv/a', remote: '198.51.100.1' },
  })
  foreign.feed.end()
  t.equal((await foreign.over()).status, 403)
  const BURST = 10
  for (let i = 0; i < BURST; i++) await send(face, 'GET', '/v1/kv/a')
  t.equal((await send(face, 'GET', '/v1/kv/a')).status, 429)
  t.equal((await client.get('/v1/kv/a')).status, 404, 'others are not counted with it')
})

t.test('near _agent is near the agent that was asked', async (t: Test) => {
  const face = await startFace(t)
  const { client } = face
  const coordinate = (Node: string, x: number) => ({
    Coord: { Vec: [x, 0, 0, 0, 0, 0, 0, 0], Error: 1, Adjustment: 0, Height: 1e-5 },
    Node,
  })
  for (const [name, x] of [
    ['far', 0.5],
    [AGENT.node, 0.9],
  ] as const) {
    await client.put('/v1/catalog/register', { Node: name, Address: '192.0.2.1' })
    await client.put('/v1/coordinate/update', coordinate(name, x))
  }
  const nodes = async (): Promise<string[]> =>
    JSON.parse((await send(face, 'GET', '/v1/catalog/nodes?near=_agent')).text).map(
      ({ Node }: { Node: string }) => Node,
    )
  await until(async () => (await nodes())[0] === AGENT.node)
  t.strictSame(await nodes(), [AGENT.node, 'far', 'alpha'])
})
