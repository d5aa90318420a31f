/**
 * 5,000 clients blocked on one service: how soon the last has its answer after a change, and what
 * others notice of it.
 *
 * The limit is a process with as many idle connections that writes the same bytes to each.
 */
import assert from 'node:assert/strict'
import { peerTime, recorded, startPeer } from './peers.ts'
import { fillCatalog, instanceBody, serviceName } from './support/catalog.ts'
import { type Child, type LoopFigures, startNode } from './support/child.ts'
import { indexOf, must } from './support/client.ts'
import { bothSettings, type Cores, pinSelf } from './support/cores.ts'
import type { Latency, Probe } from './support/prober.ts'
import { inTurn, isQuick, percentile, seriesOf, sleep } from './support/rounds.ts'
import { loopText, printRow, say, time } from './support/row.ts'
import { idleLoop, startAgent, startBare } from './support/servers.ts'
import type { Wake } from './support/sockets.ts'

const WATCHERS = isQuick ? 1_000 : 5_000
const INSTANCES = 3
const path = `/v1/health/service/${serviceName(0)}`
const WAKE_TIMES = 2
const OTHERS_P99_MS = 20
/** Until all requests have certainly been read; the server is asked afterwards, too. */
const SETTLE_MS = 500

const clientScript = new URL('./support/sockets.ts', import.meta.url).pathname
const proberScript = new URL('./support/prober.ts', import.meta.url).pathname

for (const cores of bothSettings) {
  pinSelf(cores)
  await measure(cores)
}

async function measure(cores: Cores): Promise<void> {
  const ours = await startAgent(cores.server)
  const watchers = await openWatchers(cores, ours.port)
  const sample = await watchers.wake()
  const bare = await startBare(cores.server, 'sockets', { headers: {}, bodyBase64: sample.base64 })
  const idle = await openSockets(cores, bare.port)
  const medians: number[] = []
  const took: number[] = []
  let loop: LoopFigures | undefined
  const figures = await inTurn({
    async ours() {
      const wake = await watchers.wake()
      medians.push(wake.medianMs)
      return wake.lastMs
    },
    async bare() {
      const detail = { port: bare.port, trigger: 'x', sizeBytes: sample.sizeBytes }
      return (await idle.ask<Wake>('wake', detail)).lastMs
    },
    /** Once more, with others who ask meanwhile: the bare process has none of them. */
    async others() {
      await ours.ask('reset')
      const { others, lastMs } = await watchers.wake(true)
      took.push(...others)
      loop = await ours.ask<LoopFigures>('loop')
      return lastMs
    },
  })
  assert.ok(loop !== undefined && took.length > 0)
  await Promise.all([watchers.stop(), idle.stop(), bare.stop()])
  await ours.stop()
  const figure = `${WATCHERS} blocked watchers, last wake (${cores.name})`
  const ratio = figures.ours.min / figures.bare.min
  const median = seriesOf(medians).min
  const middles = `medians ${time(figures.ours.median)}, ${time(figures.bare.median)}`
  printRow({
    figure,
    ours: time(figures.ours.min),
    limit: `${ratio.toFixed(2)} times ${time(figures.bare.min)} (same bytes to idle sockets)`,
    goal: `at most ${WAKE_TIMES}`,
    met: ratio <= WAKE_TIMES,
    peer: await peerColumn(cores, figures.ours.min),
    note: `${middles}; the median watcher ${time(median)}; ${sample.sizeBytes} bytes each`,
  })
  const p99 = percentile(took, 0.99)
  printRow({
    figure: `others' p99 while ${WATCHERS} watchers wake (${cores.name})`,
    ours: time(p99),
    limit: 'absolute',
    goal: `under ${OTHERS_P99_MS} ms`,
    met: p99 < OTHERS_P99_MS,
    peer: '',
    note: `${took.length} requests; ${loopText(loop, await idleLoop(cores.server))}`,
  })
  say(`${figure}: ${time(figures.ours.min)}, ${ratio.toFixed(2)} of bare; others ${time(p99)}`)
}

interface Watchers {
  /** Lets all block, changes the service, waits for the last, looks at samples of what came. */
  wake(
    isProbed?: boolean,
  ): Promise<
    Wake & { readonly sizeBytes: number; readonly base64: string; readonly others: number[] }
  >
  stop(): Promise<void>
}

async function openWatchers(cores: Cores, port: number): Promise<Watchers> {
  await fillCatalog(port, { instances: INSTANCES, nodes: INSTANCES, perService: INSTANCES })
  await must(port, 'PUT', '/v1/kv/other', 'somebody else')
  const sockets = await openSockets(cores, port)
  const prober = await startNode(cores.client, ['--no-warnings', proberScript])
  const connections = 4
  const probe: Probe = { port, method: 'GET', path: '/v1/kv/other', connections, pauseMs: 1 }
  let changes = 0
  return {
    async wake(isProbed = false) {
      const index = indexOf(await must(port, 'GET', path))
      await sockets.ask('send', requestText('GET', `${path}?index=${index}&wait=5m`))
      await sleep(SETTLE_MS)
      await must(port, 'GET', path)
      if (isProbed) await prober.ask('start', probe)
      const release = `change-${++changes}`
      const body = JSON.stringify(instanceBody(0, 0, serviceName(0), release))
      const trigger = requestText('PUT', '/v1/catalog/register', body)
      const wake = await sockets.ask<Wake>('wake', { port, trigger })
      const latencies = await prober.ask<readonly Latency[]>('stop')
      for (const sample of wake.samples) checkAnswer(sample, index, release)
      const [first = ''] = wake.samples
      const others = latencies.filter(([from, ms]) => from < wake.toMs && from + ms > wake.fromMs)
      return {
        ...wake,
        sizeBytes: Buffer.byteLength(first),
        base64: Buffer.from(first).toString('base64'),
        others: others.map(([, ms]) => ms),
      }
    },
    async stop() {
      await Promise.all([sockets.stop(), prober.stop()])
    },
  }
}

async function openSockets(cores: Cores, port: number): Promise<Child> {
  const sockets = await startNode(cores.client, ['--no-warnings', clientScript])
  await sockets.ask('open', { port, count: WATCHERS })
  return sockets
}

function requestText(method: string, target: string, body = ''): string {
  const length = body === '' ? '' : `Content-Length: ${Buffer.byteLength(body)}\r\n`
  return `${method} ${target} HTTP/1.1\r\nHost: bench\r\n${length}\r\n${body}`
}

function checkAnswer(answer: string, index: number, release: string): void {
  const [head = '', body = ''] = answer.split('\r\n\r\n')
  assert.match(head, /^HTTP\/1\.1 200 /)
  const given = Number(/^X-Consul-Index: (\d+)/m.exec(head)?.[1])
  assert.ok(given > index, 'the index has moved')
  const entries: { Service: { Meta: { release: string } } }[] = JSON.parse(body)
  assert.equal(entries.length, INSTANCES)
  assert.ok(entries.some(({ Service }) => Service.Meta.release === release))
}

async function peerColumn(cores: Cores, oursMs: number): Promise<string> {
  const peer = await startPeer(cores.server)
  if (peer === undefined) return peerTime(oursMs, recorded.watchersLastMs, { goal: 0.4 })
  const watchers = await openWatchers(cores, peer.port)
  const { ours } = await inTurn({ ours: async () => (await watchers.wake()).lastMs })
  await watchers.stop()
  await peer.stop()
  return peerTime(oursMs, ours.min, { goal: 0.4, measuredBy: peer.version })
}
