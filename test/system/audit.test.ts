/**
 * The audit trail of the whole daemon: kill -9 at any moment leaves each acknowledged request with
 * its record, in the journal and, later, in the file; devices that stall or fail hurt nobody; and
 * secrets that came with requests stand nowhere in it.
 */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { LineProof } from '../../src/audit/line.ts'
import { seededRandom } from '../../src/base/prng.ts'
import { type Daemon, startDaemon } from '../clients/daemon.ts'
import { tempFolder, until } from '../clients/process.ts'
import { reached, untilBudget } from '../run/budget.ts'
import { absent } from '../run/clients.ts'
import { startEtcd } from '../store/etcd/member.ts'

const CLIENTS = 8
const KILLS_MIN = 4
const KILLS_GOAL = 60
const LOAD_MAX_MS = 500

const seed = process.env.SEED ?? randomBytes(8).toString('hex')
t.comment(`seed ${seed} (set SEED to repeat its choices)`)
const random = seededRandom(Buffer.from(seed, 'hex'))
const below = (count: number): number => Math.floor(random.fraction() * count)

/** A peer that takes connections and never reads. */
async function deafPeer(t: Test): Promise<number> {
  const sockets = new Set<Socket>()
  const server = createServer(socket => {
    sockets.add(socket.pause().on('error', () => {}))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

/** A collector that refuses whatever is posted. */
async function refusingPeer(t: Test): Promise<number> {
  const server = createHttpServer((request, response) => {
    request.resume().on('end', () => void response.writeHead(500).end('no'))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

/** Ids of requests that were answered. */
type Acknowledged = Set<string>

async function runClient(daemon: Daemon, client: number, ids: Acknowledged): Promise<void> {
  for (;;) {
    const kind = below(5)
    const asked =
      kind === 0
        ? daemon.ask('PUT', '/v1/kv/?token=canary-token', 'canary-value')
        : kind === 1
          ? daemon.ask('PUT', `/v1/kv/app/${client}?cas=1`, 'canary-value')
          : daemon.ask('PUT', `/v1/kv/app/${client}/${below(50)}`, `canary-value-${random.uuid()}`)
    try {
      ids.add(String((await asked).headers['x-request-id']))
    } catch {
      return // The daemon was killed: what was asked for last is unknown.
    }
  }
}

interface Page {
  readonly Records: readonly { readonly request?: string }[]
  readonly Before: number
}

/** The ids of all requests that the journal has records of. */
async function recordedIn(daemon: Daemon): Promise<Set<string>> {
  const ids = new Set<string>()
  for (let before = Number.MAX_SAFE_INTEGER; before > 0; ) {
    const page = await daemon.read<Page>(`/v1/operator/audit?limit=1000&before=${before}`)
    for (const { request } of page.Records) if (request !== undefined) ids.add(request)
    before = page.Before
  }
  return ids
}

t.test('kill -9 under load, with devices that stall and fail beside one that works', async t => {
  const dataDir = tempFolder(t)
  const file = join(dataDir, 'audit.log')
  const config = join(dataDir, 'audit.hcl')
  writeFileSync(
    config,
    `audit {
      enabled = true
      sink "file" { type = "file" path = ${JSON.stringify(file)} }
      sink "deaf" {
        type = "socket"
        address = "127.0.0.1:${await deafPeer(t)}"
        write_timeout = "200ms"
      }
      sink "refusing" { type = "http" uri = "http://127.0.0.1:${await refusingPeer(t)}/" }
    }`,
  )
  const start = (): Promise<Daemon> =>
    startDaemon(t, { dataDir, words: [`-config-file=${config}`] })
  const ids: Acknowledged = new Set()
  let rotations = 0
  await untilBudget(
    'kills with audit on',
    KILLS_GOAL,
    async () => {
      const daemon = await start()
      const load = Promise.all(Array.from({ length: CLIENTS }, (_, i) => runClient(daemon, i, ids)))
      await sleep(below(LOAD_MAX_MS))
      if (below(3) === 0 && existsSync(file)) renameSync(file, `${file}.${++rotations}`)
      await sleep(below(LOAD_MAX_MS))
      await daemon.kill()
      await load
    },
    KILLS_MIN,
  )
  reached('audited requests answered before a kill', ids.size)
  t.ok(ids.size > 50, `${ids.size} requests were answered`)

  const daemon = await start()
  const recorded = await recordedIn(daemon)
  const missing = [...ids].filter(id => !recorded.has(id))
  t.same(missing.slice(0, 5), [], `${missing.length} of ${ids.size} are not in the journal`)
  interface Verified {
    readonly Whole: boolean
    readonly Last: number
    readonly Sinks: readonly {
      readonly Name: string
      readonly Lag: number
      readonly Fault: string
    }[]
  }
  const verify = (): Promise<Verified> => daemon.read<Verified>('/v1/operator/audit/verify')
  t.ok((await verify()).Whole)
  await until('the file has all', async () => (await verify()).Sinks[0]?.Lag === 0)
  const { Sinks, Last } = await verify()
  t.match(Sinks[2], { Name: 'refusing', Lag: Last, Fault: 'it answered 500' })

  // All parts of the file, in their order, prove themselves and hold all that was answered.
  const parts = Array.from({ length: rotations }, (_, i) => `${file}.${i + 1}`)
  const proof = new LineProof()
  const inFiles = new Set<string>()
  for (const path of [...parts, file]) {
    const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1)
    for (const [at, line] of lines.entries()) {
      proof.take(line, `${path}:${at + 1}`)
      inFiles.add(JSON.parse(line).request)
    }
  }
  t.match(proof.result(), { faults: [], isAnchored: true, first: 1, last: Last })
  t.same([...ids].filter(id => !inFiles.has(id)).slice(0, 5), [], 'the files have them too')

  const names = readdirSync(dataDir).filter(name => name.startsWith('audit'))
  for (const name of names) {
    t.notMatch(readFileSync(join(dataDir, name), 'latin1'), /canary/, `${name} holds no secret`)
  }
  t.equal(await daemon.stop(), 0, 'failing devices hold no stop up')
})

t.test("etcd: the journal is this server's own, on its disk", { skip: absent('etcd') }, async t => {
  const { endpoint } = await startEtcd(t)
  const dataDir = tempFolder(t)
  const words = [
    `-hcl=store { etcd { endpoints = ["${endpoint}"] } }`,
    '-hcl=audit { enabled = true }',
  ]
  const start = (): Promise<Daemon> => startDaemon(t, { engine: 'etcd', dataDir, words })
  const first = await start()
  const asked = Array.from({ length: 40 }, (_, i) => first.ask('PUT', `/v1/kv/${i}`, 'canary'))
  const ids = (await Promise.all(asked)).map(({ headers }) => String(headers['x-request-id']))
  await first.kill()
  t.ok(existsSync(join(dataDir, 'audit', 'witness')))
  const second = await start()
  const recorded = await recordedIn(second)
  t.same(
    ids.filter(id => !recorded.has(id)),
    [],
  )
  t.match(await second.read('/v1/operator/audit/verify'), { Whole: true, Last: 40 })
  t.equal(await second.stop(), 0)
})

t.test('SIGHUP: a renamed file is begun anew, and a changed sink waits for a restart', async t => {
  const dataDir = tempFolder(t)
  const file = join(dataDir, 'audit.log')
  const config = join(dataDir, 'audit.hcl')
  const stanza = (path: string): string =>
    `audit { enabled = true sink "file" { type = "file" path = ${JSON.stringify(path)} } }`
  writeFileSync(config, stanza(file))
  const daemon = await startDaemon(t, { dataDir, words: [`-config-file=${config}`] })
  await daemon.ask('PUT', '/v1/kv/a', '1')
  await until('the first', () => existsSync(file) && readFileSync(file, 'utf8').includes('"seq":1'))
  renameSync(file, `${file}.1`)
  daemon.signal('SIGHUP')
  await daemon.ask('PUT', '/v1/kv/b', '2')
  await until(
    'the second',
    () => existsSync(file) && readFileSync(file, 'utf8').includes('"seq":2'),
  )
  t.notMatch(readFileSync(`${file}.1`, 'utf8'), /"seq":2/)
  writeFileSync(config, stanza(`${file}.other`))
  daemon.signal('SIGHUP')
  await until('it is told', () => /audit.*restart|restart.*audit/.test(daemon.stderr()))
  t.notOk(existsSync(`${file}.other`))
  t.equal(await daemon.stop(), 0)
})
