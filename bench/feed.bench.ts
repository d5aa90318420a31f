/**
 * The change feed over server-sent events: how soon one reader and the last of 10,000 hears of a
 * change, how fast a long snapshot comes, and what an idle reader costs.
 *
 * The limit of the second is a process with as many idle connections that writes the same bytes to
 * each. The first counts from when the write was answered to be durable, by the same clock.
 */
import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import { fillCatalog, instanceBody, serviceName } from './support/catalog.ts'
import { type Child, startNode } from './support/child.ts'
import { must } from './support/client.ts'
import { bothSettings, type Cores, pinSelf } from './support/cores.ts'
import { inTurn, isQuick, seriesOf, sleep } from './support/rounds.ts'
import { printRow, rate, say, time } from './support/row.ts'
import { type Server, startAgent, startBare } from './support/servers.ts'
import type { Wake } from './support/sockets.ts'

const READERS = isQuick ? 1_000 : 10_000
const INSTANCES = isQuick ? 10_000 : 100_000
const SMALL = 3
const CHANGES = isQuick ? 20 : 200
const FIRST_MS = 2
const LAST_TIMES = 2
const SNAPSHOT_PER_SECOND = 60_000
const READER_SIZE_BYTES = 20_000
const SETTLE_MS = isQuick ? 1_000 : 5_000
const name = serviceName(0)
const path = `/v1/feed/health/${name}`

const KEPT_SIZE_BYTES = 100_000
const LAST = '"last":true'
const FILLING = 1_000
const NO_GRPC = ['-hcl', 'ports { grpc = -1 }']
/** A delta may be some bytes shorter than the one that was looked at. */
const SLACK_SIZE_BYTES = 64

const clientScript = new URL('./support/sockets.ts', import.meta.url).pathname

/** A reader in this process: the pieces that came, with when. */
class Reader {
  readonly #socket: Socket
  #onPiece: (piece: Buffer, atMs: number) => void = () => {}

  constructor(port: number, target: string) {
    this.#socket = connect({ host: '127.0.0.1', port, noDelay: true })
    this.#socket.on('data', (piece: Buffer) => this.#onPiece(piece, performance.now()))
    this.#socket.write(requestText('GET', target))
  }

  /** Waits for a piece with a text in it; gives all that came, and when the first of it did. */
  until(text: string): Promise<{ readonly firstMs: number; readonly bytes: number; all: string }> {
    return new Promise(resolve => {
      let firstMs = 0
      let bytes = 0
      let tail = ''
      const kept: string[] = []
      this.#onPiece = (piece, atMs) => {
        if (firstMs === 0) firstMs = atMs
        bytes += piece.length
        const found = piece.toString('latin1')
        if (bytes < KEPT_SIZE_BYTES) kept.push(found)
        tail = (tail + found).slice(-found.length - text.length)
        if (tail.includes(text)) resolve({ firstMs, bytes, all: kept.join('') })
      }
    })
  }

  close(): void {
    this.#socket.destroy()
  }
}

async function changes(cores: Cores): Promise<void> {
  const ours = await startAgent(cores.server, { more: NO_GRPC })
  await fillCatalog(ours.port, { instances: SMALL, nodes: SMALL, perService: SMALL })
  let round = 0
  const change = () => JSON.stringify(instanceBody(0, 0, name, `r-${1_000 + round++}`))
  const put = () => must(ours.port, 'PUT', '/v1/catalog/register', change())
  // Revisions of as many digits make deltas of one size.
  for (let i = 0; i < FILLING; i++) await must(ours.port, 'PUT', '/v1/kv/filling', `${i}`)
  const reader = new Reader(ours.port, path)
  await reader.until(LAST)
  const first: number[] = []
  const whole: number[] = []
  for (let i = 0; i < CHANGES; i++) {
    const told = reader.until(LAST)
    const fromMs = performance.now()
    const [{ firstMs }, answeredMs] = await Promise.all([told, put().then(() => performance.now())])
    first.push(firstMs - answeredMs)
    whole.push(firstMs - fromMs)
  }
  const told = reader.until(LAST)
  await put()
  const { all, bytes } = await told
  reader.close()
  printFirst(cores, first, whole)
  const beforeBytes = ours.rssSizeBytes() ?? 0
  const readers = await startNode(cores.client, ['--no-warnings', clientScript])
  await readers.ask('open', { port: ours.port, count: READERS })
  await readers.ask('expect', bytes)
  await readers.ask('send', requestText('GET', path))
  await sleep(SETTLE_MS)
  const afterBytes = ours.rssSizeBytes() ?? 0
  const bare = await startBare(cores.server, 'sockets', {
    headers: {},
    bodyBase64: Buffer.from(all, 'latin1').toString('base64'),
  })
  const idle = await startNode(cores.client, ['--no-warnings', clientScript])
  await idle.ask('open', { port: bare.port, count: READERS })
  const figures = await inTurn({
    ours: async () =>
      (await wake(readers, ours, requestText('PUT', '/v1/catalog/register', change()), bytes))
        .lastMs,
    bare: async () => (await wake(idle, bare, 'x', bytes)).lastMs,
  })
  await Promise.all([readers.stop(), idle.stop(), bare.stop()])
  await ours.stop()
  printLast(cores, figures, bytes)
  printMemory(cores, (afterBytes - beforeBytes) / READERS)
}

const wake = (sockets: Child, { port }: Server, trigger: string, bytes: number): Promise<Wake> =>
  sockets.ask<Wake>('wake', { port, trigger, sizeBytes: bytes - SLACK_SIZE_BYTES })

function printFirst(cores: Cores, first: readonly number[], whole: readonly number[]): void {
  const { median, max } = seriesOf(first)
  const figure = `feed, change to 1 reader (${cores.name})`
  printRow({
    figure,
    ours: time(Math.max(0, median)),
    limit: 'absolute, from when the write is answered',
    goal: `under ${FIRST_MS} ms`,
    met: median < FIRST_MS,
    peer: '',
    note: `longest ${time(Math.max(0, max))}; with the write ${time(seriesOf(whole).median)}`,
  })
  say(`${figure}: ${median.toFixed(2)} ms`)
}

function printLast(
  cores: Cores,
  { ours, bare }: Readonly<Record<'ours' | 'bare', ReturnType<typeof seriesOf>>>,
  bytes: number,
): void {
  const ratio = ours.min / bare.min
  const figure = `feed, change to ${READERS} readers, the last (${cores.name})`
  printRow({
    figure,
    ours: time(ours.min),
    limit: `${ratio.toFixed(2)} times ${time(bare.min)} (same bytes to idle sockets)`,
    goal: `at most ${LAST_TIMES}`,
    met: ratio <= LAST_TIMES,
    peer: '',
    note: `medians ${time(ours.median)}, ${time(bare.median)}; ${bytes} bytes each`,
  })
  say(`${figure}: ${time(ours.min)}, ${ratio.toFixed(2)} of bare`)
}

function printMemory(cores: Cores, eachBytes: number): void {
  const figure = `feed, memory of an idle reader (${cores.name})`
  printRow({
    figure,
    ours: `${(eachBytes / 1_000).toFixed(1)} kB`,
    limit: 'absolute',
    goal: `under ${READER_SIZE_BYTES / 1_000} kB`,
    met: eachBytes < READER_SIZE_BYTES,
    peer: '',
    note: `resident, with its connection, of ${READERS}`,
  })
  say(`${figure}: ${(eachBytes / 1_000).toFixed(1)} kB`)
}

async function snapshot(cores: Cores): Promise<void> {
  const ours = await startAgent(cores.server, { more: NO_GRPC })
  const size = { instances: INSTANCES, nodes: INSTANCES / 10, perService: INSTANCES }
  await fillCatalog(ours.port, size)
  const rates: number[] = []
  for (let round = 0; round < 3; round++) {
    const reader = new Reader(ours.port, path)
    const fromMs = performance.now()
    const { bytes } = await reader.until(LAST)
    rates.push(INSTANCES / ((performance.now() - fromMs) / 1_000))
    assert.ok(bytes > INSTANCES * 100)
    reader.close()
  }
  await ours.stop()
  const { min, max } = seriesOf(rates)
  const figure = `feed, snapshot of ${INSTANCES} instances (${cores.name})`
  printRow({
    figure,
    ours: rate(max),
    limit: 'absolute',
    goal: `over ${rate(SNAPSHOT_PER_SECOND)}`,
    met: max > SNAPSHOT_PER_SECOND,
    peer: '',
    note: `slowest of three ${rate(min)}; instances a second, as events`,
  })
  say(`${figure}: ${rate(max)}`)
}

function requestText(method: string, target: string, body = ''): string {
  const length = body === '' ? '' : `Content-Length: ${Buffer.byteLength(body)}\r\n`
  return `${method} ${target} HTTP/1.1\r\nHost: bench\r\n${length}\r\n${body}`
}

for (const cores of bothSettings) {
  pinSelf(cores)
  await changes(cores)
  await snapshot(cores)
}
