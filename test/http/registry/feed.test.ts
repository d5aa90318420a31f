/**
 * Feeds as server-sent events: what is on the wire, through `curl -N` as clients use it.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import t, { type Test } from 'tap'
import { ROOT } from '../acl.ts'
import { startFace, until } from '../harness.ts'

interface Event {
  readonly event: string
  readonly id: string | undefined
  // biome-ignore lint/suspicious/noExplicitAny: tests look into it as they like
  readonly data: any
}

/** A curl that reads an event stream. */
class Curl {
  text = ''
  code: number | null | undefined
  readonly #child: ChildProcess

  constructor(t: Test, url: string, ...more: readonly string[]) {
    this.#child = spawn('curl', ['-sSN', '-m', '20', ...more, url])
    const take = (piece: Buffer): void => {
      this.text += piece.toString()
    }
    this.#child.stdout!.on('data', take)
    this.#child.stderr!.on('data', take)
    this.#child.once('close', code => {
      this.code = code
    })
    t.teardown(() => this.#child.kill())
  }

  stop(): void {
    this.#child.kill()
  }

  get events(): Event[] {
    return this.text
      .split('\n\n')
      .filter(block => block.includes('event: '))
      .map(block => {
        const fields = new Map(
          block.split('\n').map(line => [line.split(': ', 1)[0]!, line.replace(/^\w+: /, '')]),
        )
        return {
          event: fields.get('event') ?? '',
          id: fields.get('id'),
          data: JSON.parse(fields.get('data') ?? 'null'),
        }
      })
  }

  /** Waits until so many events came. */
  async told(count: number): Promise<Event[]> {
    await until(() => this.events.length >= count || this.code !== undefined)
    return this.events
  }
}

const body = (port: number) => ({
  ...{ Node: 'n', Address: '10.0.0.1', Service: { ID: 'w1', Service: 'web', Port: port } },
})

t.test('a snapshot, deltas, and on with the token', async t => {
  const { client, host, port } = await startFace(t, {})
  const url = `http://${host}:${port}/v1/feed/health/web`
  await client.put('/v1/catalog/register', body(1))
  const curl = new Curl(t, url)
  const [snapshot] = await curl.told(1)
  t.match(curl.text, /^retry: \d+\n\n/)
  t.equal(snapshot?.event, 'snapshot')
  const { json: list, index } = await client.get('/v1/health/service/web')
  t.strictSame(snapshot?.data.items, [{ key: 'n/w1', revision: index, value: list[0] }])
  await client.put('/v1/catalog/register', body(2))
  const [, delta] = await curl.told(2)
  const later = await client.get('/v1/health/service/web')
  t.match(delta, { event: 'delta', data: { revision: later.index, deletes: [] } })
  t.strictSame(delta?.data.upserts[0].value, later.json[0])
  curl.stop()
  await client.put('/v1/catalog/deregister', { Node: 'n', ServiceID: 'w1' })
  const resumed = new Curl(t, url, '-H', `Last-Event-ID: ${delta?.id}`)
  const [missed] = await resumed.told(1)
  t.match(missed, { event: 'delta', data: { upserts: [], deletes: ['n/w1'] } })
})

t.test('what is asked wrongly is told at once', async t => {
  const { client, feeds } = await startFace(t, {})
  t.equal((await client.get('/v1/feed/health/web?resume=xyz')).status, 400)
  t.equal((await client.get('/v1/feed/health/web?filter=a%20b')).status, 500)
  t.equal((await client.get('/v1/feed/health/')).status, 400)
  t.equal((await client.get('/v1/feed/health/web?heartbeat=x')).status, 400)
  t.equal((await client.get('/v1/feed/leases/x')).status, 501)
  t.equal((await client.raw('HEAD', '/v1/feed/health/web')).status, 405)
  t.equal((await client.raw('OPTIONS', '/v1/feed/health/web')).headers.allow, 'OPTIONS,GET')
  t.equal((await client.get('/v1/feed')).json[0].Topic, 'health')
  t.equal(feeds.stats.readers, 0)
})

t.test('a compaction and a restore are told by resync', async t => {
  const { client, store, host, port } = await startFace(t, {})
  const url = `http://${host}:${port}/v1/feed/kv/a/`
  await client.put('/v1/kv/a/1', 'one')
  const saved = await client.get('/v1/snapshot')
  const curl = new Curl(t, url)
  const [snapshot] = await curl.told(1)
  curl.stop()
  await client.put('/v1/kv/a/2', 'two')
  await client.delete('/v1/kv/a/1')
  await store.compact(store.view().revision)
  const resumed = new Curl(t, url, '-H', `Last-Event-ID: ${snapshot?.id}`)
  const [resync, again] = await resumed.told(2)
  t.match(resync, { event: 'resync', id: undefined, data: { reason: 'compacted' } })
  t.match(again, { event: 'snapshot', data: { last: true, items: [{ key: 'a/2' }] } })
  t.equal(again?.data.items.length, 1)
  t.equal((await client.put('/v1/snapshot', saved.bytes)).status, 200)
  const [, , restored, whole] = await resumed.told(4)
  t.match(restored, { event: 'resync', data: { reason: 'restored' } })
  t.match(whole, { event: 'snapshot', data: { items: [{ key: 'a/1' }] } })
  t.ok(whole!.data.revision > again!.data.revision, 'the index goes on')
})

const as = (token: string) => ({ headers: { 'X-Consul-Token': token } })
const root = as(ROOT)

t.test('rights: what is left out, what changes, what ends', async t => {
  const { client, host, port, authority } = await startFace(t, { acl: {} })
  const rulesOf = (allowed: string) => `key_prefix "a/${allowed}" { policy = "read" }`
  const policy = { Name: 'reader', Rules: rulesOf('1') }
  const { ID } = (await client.put('/v1/acl/policy', policy, root)).json
  const token = (await client.put('/v1/acl/token', { Policies: [{ ID }] }, root)).json
  await client.put('/v1/kv/a/1', 'one', root)
  await client.put('/v1/kv/a/2', 'two', root)
  const url = `http://${host}:${port}/v1/feed/kv/a/`
  t.equal(
    (await client.get('/v1/feed/kv/a/', as('00000000-1111-2222-3333-444444444444'))).status,
    403,
  )
  const curl = new Curl(t, url, '-i', '-H', `X-Consul-Token: ${token.SecretID}`)
  const [snapshot] = await curl.told(1)
  t.strictSame(snapshot?.data.filtered, true)
  t.strictSame(
    snapshot?.data.items.map(({ key }: { key: string }) => key),
    ['a/1'],
  )
  const id = /x-request-id: (\S+)/i.exec(curl.text)?.[1]
  const why = await client.get(`/v1/acl/explain/${id}`, root)
  t.match(why.text, /a\/2/, 'the right that was lacking is explained')
  await client.put(`/v1/acl/policy/${ID}`, { ID, ...policy, Rules: rulesOf('2') }, root)
  const [, resync, other] = await curl.told(3)
  t.match(resync, { event: 'resync', data: { reason: 'rights' } })
  t.strictSame(
    other?.data.items.map(({ key }: { key: string }) => key),
    ['a/2'],
  )
  await client.delete(`/v1/acl/token/${token.AccessorID}`, root)
  const ended = (await curl.told(4)).at(-1)
  t.match(ended, { event: 'error', data: { status: 403, text: 'ACL not found' } })
  await until(() => curl.code !== undefined)
  t.equal(curl.code, 0, 'the answer ends in order')
  t.equal(authority.defaultPolicy, 'deny')
})

t.test('a filter, and the end of the server', async t => {
  const { client, feeds, host, port } = await startFace(t, {})
  await client.put('/v1/kv/a/1', 'one')
  const url = `http://${host}:${port}/v1/feed/kv/?filter=Key+!=+%22a/2%22`
  const curl = new Curl(t, url)
  await curl.told(1)
  await client.put('/v1/kv/a/2', 'two')
  await client.put('/v1/kv/a/3', 'three')
  const [, delta] = await curl.told(2)
  t.strictSame(
    delta?.data.upserts.map(({ key }: { key: string }) => key),
    ['a/3'],
  )
  const old = new Curl(t, `${url}&stale`, '--http1.0')
  await old.told(1)
  t.notMatch(old.text, /^[0-9a-f]+\r\n/m, 'HTTP/1.0 knows no chunks')
  feeds.close()
  for (const one of [curl, old]) {
    await until(() => one.code !== undefined)
    t.equal(one.code, 0)
    t.match(one.events.at(-1), { event: 'error', data: { status: 503 } })
  }
})
