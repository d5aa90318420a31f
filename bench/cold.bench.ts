/**
 * A million stored certificates: how long a start takes beside them, and how much memory the whole
 * process has, also after all of them went into an archive.
 *
 * The rows are of the size that sealed certificates have. They are written through the store before
 * the program starts. Nothing is loaded beside it.
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { request } from 'node:http'
import { join } from 'node:path'
import { systemClock, systemRandom } from '../src/base/clock.ts'
import { limits } from '../src/base/limits.ts'
import { openLevelStore } from '../src/store/level/engine.ts'
import { withSystemTables } from '../src/store/local.ts'
import { put } from '../src/store/store.ts'
import { registryTables } from '../src/store/tables/mod.ts'
import { secretCold } from '../src/store/tables/secret.ts'
import { call } from './support/client.ts'
import { bothSettings, pinSelf } from './support/cores.ts'
import { isQuick, sleep } from './support/rounds.ts'
import { megabytes, printRow, say, time } from './support/row.ts'
import { makeFolder, type Server, startAgent } from './support/servers.ts'

const ROWS = isQuick ? 100_000 : 1_000_000
const ROW_SIZE_BYTES = 900
const SETTLE_MS = isQuick ? 5_000 : 60_000
const START_GOAL_MS = 10_000
const MEMORY_GOAL_BYTES = 500e6
const AREA = 'mount.11111111-2222-4333-8444-555555555555'

const folder = makeFolder()
await fill()
for (const cores of bothSettings) {
  pinSelf(cores)
  const startedMs = performance.now()
  const agent = await startAgent(cores.server, { folder, isProbed: false })
  const written = await call(agent.port, 'PUT', '/v1/kv/started', 'x')
  assert.equal(written.status, 200)
  const tookMs = performance.now() - startedMs
  const what = `${ROWS} stored certificates (${cores.name})`
  printRow({
    figure: `start to first write, ${what}`,
    ours: time(tookMs),
    limit: 'absolute',
    goal: `under ${time(START_GOAL_MS)}`,
    met: tookMs < START_GOAL_MS,
    peer: '',
    note: '',
  })
  await sleep(SETTLE_MS)
  report(`memory, ${what}`, agent)
  const { sizeBytes, tookMs: savedMs } = await saveAll(agent)
  report(`memory, ${what}, all saved to an archive`, agent)
  say(`${what}: an archive of ${megabytes(sizeBytes)} in ${time(savedMs)}`)
  await agent.stop()
}

/** Writes the rows as a server does: many transactions, each batch of them synced once. */
async function fill(): Promise<void> {
  const tables = withSystemTables(registryTables)
  const options = { tables, clock: systemClock, random: systemRandom }
  const store = await openLevelStore({ ...options, folder: join(folder, 'store') })
  const startedMs = performance.now()
  for (let done = 0; done < ROWS; ) {
    const together: Promise<unknown>[] = []
    for (let i = 0; i < 16 && done < ROWS; i++, done += limits.batchRows) {
      const txn = Array.from({ length: Math.min(limits.batchRows, ROWS - done) }, () => {
        const key = `${AREA}/cert/${randomBytes(20).toString('hex')}`
        const sealed = randomBytes(ROW_SIZE_BYTES)
        return put(secretCold, key, { header: {}, headerText: '', sealed })
      })
      together.push(store.write(() => ({ txn, answer: undefined })))
    }
    await Promise.all(together)
  }
  await store.close()
  say(`${ROWS} rows of ${ROW_SIZE_BYTES} bytes written in ${time(performance.now() - startedMs)}`)
}

/** Takes an archive as a client does, and lets it go. */
function saveAll({ port }: Server): Promise<{ sizeBytes: number; tookMs: number }> {
  const startedMs = performance.now()
  return new Promise((resolve, reject) => {
    const asked = request({ port, path: '/v1/snapshot' }, answer => {
      assert.equal(answer.statusCode, 200)
      let sizeBytes = 0
      answer.on('data', (piece: Buffer) => {
        sizeBytes += piece.length
      })
      answer.on('end', () => resolve({ sizeBytes, tookMs: performance.now() - startedMs }))
      answer.on('error', reject)
    })
    asked.on('error', reject)
    asked.end()
  })
}

function report(figure: string, agent: Server): void {
  const sizeBytes = agent.rssSizeBytes() ?? Number.POSITIVE_INFINITY
  printRow({
    figure,
    ours: megabytes(sizeBytes),
    limit: 'absolute',
    goal: `under ${megabytes(MEMORY_GOAL_BYTES)}`,
    met: sizeBytes < MEMORY_GOAL_BYTES,
    peer: '',
    note: '',
  })
  say(`${figure}: ${megabytes(sizeBytes)}`)
}
