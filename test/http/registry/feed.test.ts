/**
 * Feeds as server-sent events: what is on the wire, through `curl -N` as clients use it.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import t, { type Test } from 'tap'
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
