/**
 * Ten thousand blocked readers over a thousand keys: only those concerned wake, each once, what one
 * costs in memory, and that those who leave leave nothing behind.
 */
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { type Daemon, startDaemon } from '../clients/daemon.ts'
import { until } from '../clients/process.ts'
import { reached } from '../run/budget.ts'

const WATCHERS = 10_000
const KEYS = 1_000
const CHANGED = 10
const BOUND_SIZE_BYTES = 15_000

interface Watcher {
  readonly key: number
  readonly socket: Socket
  /** What it was answered. */
  text: string
}

t.test('10,000 watchers over 1,000 keys', async t => {
  const room = `limits { http_max_conns_per_client = ${2 * WATCHERS} }`
  const daemon = await startDaemon(t, { words: ['-hcl', room] })
  for (let key = 0; key < KEYS; key++) await put(daemon, key, 'first')
  const index = await indexNow(daemon)
  const before = memoryOf(daemon)
  const watchers = await openWatchers(t, daemon, index)
  await until('all of them wait', async () => (await waiting(daemon)) === WATCHERS)
  const each = Math.round((memoryOf(daemon) - before) / WATCHERS)
  t.comment(`memory per waiter with its connection: ${each} bytes`)
  t.ok(each < BOUND_SIZE_BYTES, `${each} bytes are under ${BOUND_SIZE_BYTES}`)

  const changed = new Set<number>()
  while (changed.size < CHANGED) changed.add((changed.size * 97 + 13) % KEYS)
  for (const key of changed) await put(daemon, key, 'second')
  const concerned = watchers.filter(({ key }) => changed.has(key))
  t.equal(concerned.length, (WATCHERS / KEYS) * CHANGED)
  await until('those concerned are answered', () => concerned.every(({ text }) => text !== ''))
  t.equal(await waiting(daemon), WATCHERS - concerned.length, 'all others sleep on')
  const woken = watchers.filter(({ text }) => text !== '')
  t.same(new Set(woken.map(({ key }) => key)), changed, 'only those concerned have woken')
  const second = Buffer.from('second').toString('base64')
  t.ok(
    concerned.every(({ text }) => text.split('HTTP/1.1 200').length === 2 && text.includes(second)),
    'each was answered once, with what is there now',
  )

  for (const { socket } of watchers) socket.destroy()
  await until('nobody waits any more', async () => (await waiting(daemon)) === 0)
  reached('blocked watchers over 1,000 keys', WATCHERS)
})

async function put(daemon: Daemon, key: number, value: string): Promise<void> {
  const { status } = await daemon.ask('PUT', `/v1/kv/watched/${key}`, value)
  if (status !== 200) throw new Error(`PUT of key ${key}: ${status}`)
}

async function indexNow(daemon: Daemon): Promise<number> {
  const { headers } = await daemon.ask('GET', '/v1/kv/watched/?keys')
  return Number(headers['x-consul-index'])
}

/** Blocked readers in batches, so that the backlog of connections is never full. */
async function openWatchers(t: Test, daemon: Daemon, index: number): Promise<Watcher[]> {
  const watchers: Watcher[] = []
  t.teardown(() => {
    for (const { socket } of watchers) socket.destroy()
  })
  const BATCH = 200
  for (let at = 0; at < WATCHERS; at += BATCH) {
    const opened = Array.from({ length: BATCH }, (_, i) => openOne(daemon, (at + i) % KEYS, index))
    watchers.push(...(await Promise.all(opened)))
  }
  return watchers
}

function openOne(daemon: Daemon, key: number, index: number): Promise<Watcher> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port: daemon.httpPort })
    const watcher: Watcher = { key, socket, text: '' }
    socket.setEncoding('latin1')
    socket.on('data', (chunk: string) => {
      watcher.text += chunk
    })
    socket.once('error', reject)
    socket.once('connect', () => {
      socket.write(`GET /v1/kv/watched/${key}?index=${index}&wait=10m HTTP/1.1\r\nHost: t\r\n\r\n`)
      resolve(watcher)
    })
  })
}

interface Gauges {
  readonly Gauges: readonly { readonly Name: string; readonly Value: number }[]
}

async function waiting(daemon: Daemon): Promise<number> {
  const { Gauges } = await daemon.read<Gauges>('/v1/agent/metrics')
  return Gauges.find(({ Name }) => Name.endsWith('rpc.queries_blocking'))?.Value ?? -1
}

/** Resident memory in bytes. */
function memoryOf({ pid }: Daemon): number {
  const line = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  return Number(line?.[1]) * 1_024
}
