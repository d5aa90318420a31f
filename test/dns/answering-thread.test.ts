/** The thread that answers over UDP: what it answers, what it hands over, and what if it ends. */
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { getPriority } from 'node:os'
import type { Worker } from 'node:worker_threads'
import t, { type Test } from 'tap'
import { systemClock } from '../../src/base/clock.ts'
import { limits } from '../../src/base/limits.ts'
import { silentLog } from '../../src/base/log.ts'
import { AnsweringThread, startWorker } from '../../src/dns/answering-thread.ts'
import { DatagramListener } from '../../src/dns/datagrams.ts'
import { Responder } from '../../src/dns/responder.ts'
import { freePort, until } from '../clients/process.ts'
import { parsed } from '../wire/dns/arbitraries.ts'
import { openExample } from './example.ts'
import { askUdp, configWith, optionsFor, queryOf, shared, startFace, textOf } from './support.ts'

const registry = await openExample()
t.teardown(() => registry.store.close())
const web = queryOf('web.service.consul A')

/** A responder that counts what reaches it, and a listener that the thread takes over. */
async function start(
  t: Test,
  on: Parameters<typeof optionsFor>[0] = registry,
  config = configWith({}),
) {
  const responder = new Responder(optionsFor(on, config))
  const seen = { queries: 0, errors: 0 }
  const answer = responder.answer.bind(responder)
  responder.answer = (...given) => {
    seen.queries++
    return answer(...given)
  }
  let worker: Worker | undefined
  const log = { ...silentLog, error: () => seen.errors++ } as unknown as typeof silentLog
  const data = { marks: registry.asker.scopes.marks, generation: responder.generation }
  const thread = new AnsweringThread(responder, log, () => {
    worker = startWorker(data)
    return worker
  })
  const port = await freePort()
  const listener = new DatagramListener({
    ...{ responder, log, clock: systemClock, host: '127.0.0.1', port, thread },
  })
  await listener.open()
  t.teardown(async () => {
    await thread.close()
    await listener.close()
    responder.stop()
  })
  const ask = async (query = web) => textOf(parsed(await askUdp(port, query))).toSorted()
  /** Asks until an answer comes that the program's own thread knows nothing of. */
  const untilItAnswers = () =>
    until('the thread answers', async () => {
      const before = seen.queries
      await ask()
      return seen.queries === before
    })
  return { responder, seen, ask, port, untilItAnswers, worker: () => worker }
}

t.test('it starts when somebody asks, and answers what was asked before', async t => {
  const { responder, seen, ask, untilItAnswers, worker } = await start(t)
  t.equal(worker(), undefined, 'nobody asked')
  const first = await ask()
  t.ok(worker())
  await untilItAnswers()
  const { queries } = seen
  for (let i = 0; i < 50; i++) t.strictSame(await ask(), first)
  t.equal(seen.queries, queries)
  await until('it tells', () => responder.stats.udp >= queries + 51)
  t.equal(responder.stats.udp, queries + 51, 'it tells how many')
})

/** The nice value of each thread of this process: the seventeenth field behind its name. */
const niceOfThreads = (): number[] =>
  readdirSync('/proc/self/task').map(task => {
    const stat = readFileSync(`/proc/self/task/${task}/stat`, 'utf8')
    return Number(stat.replace(/^.*\) /s, '').split(' ')[16])
  })

t.test('it alone goes ahead of the others, where it may', async t => {
  const ahead = getPriority() - limits.dnsThreadAheadNice
  const count = () => niceOfThreads().filter(nice => nice === ahead).length
  const before = count()
  // What may not go ahead says so, and runs all the same.
  const tried = spawnSync('nice', ['-n', `-${limits.dnsThreadAheadNice}`, 'true'])
  const mayGo = tried.status === 0 && tried.stderr.length === 0
  const { untilItAnswers } = await start(t)
  await untilItAnswers()
  t.equal(count() - before, mayGo ? 1 : 0)
})

t.test('what changed is in the next answer', async t => {
  const { seen, ask, untilItAnswers } = await start(t)
  await untilItAnswers()
  const query = queryOf('moved.service.consul A')
  let byThread = 0
  for (let i = 1; i <= 100; i++) {
    await registry.put({ node: 'two', service: { name: 'moved', address: `10.4.0.${i}` } })
    for (let again = 0; again < 4; again++) {
      const { queries } = seen
      t.strictSame(await ask(query), [`A 10.4.0.${i}`])
      if (seen.queries === queries) byThread++
    }
  }
  t.ok(byThread >= 100, `${byThread} by the thread`)
})

t.test('other settings hold for the next answer', async t => {
  const face = await startFace(registry, configWith({}), true)
  t.teardown(() => face.close())
  const ttlS = async () => parsed(await askUdp(face.port, web)).answers[0]?.ttlS
  for (let i = 1; i <= 20; i++) {
    face.configure(configWith({ serviceTtlMs: { web: i * 1_000 } }).dns)
    for (let again = 0; again < 4; again++) t.equal(await ttlS(), i)
  }
})

t.test('what takes longer comes back by it', async t => {
  const { registry: several, world } = shared(registry)
  const { seen, ask, worker } = await start(t, several, configWith({ allowStale: false }))
  const first = await ask()
  t.ok(worker())
  for (let i = 0; i < 200; i++) t.strictSame(await ask(), first)
  t.equal(world.confirmed, 201)
  t.equal(seen.queries, 201, 'every one of them')
})

t.test('nonsense is handed over, and answered as ever', async t => {
  const { ask, untilItAnswers, port } = await start(t)
  await untilItAnswers()
  const broken = Buffer.concat([web.subarray(0, 14), Buffer.from([0xc0])])
  t.equal((await askUdp(port, broken))[3]! & 15, 1, 'FORMERR')
  t.strictSame(await ask(queryOf('web.example A')), ['REFUSED'])
  t.strictSame(await ask(queryOf('absent.service.consul A')), ['NXDOMAIN'])
})

t.test('where it ends, its addresses are listened on without it', async t => {
  const { seen, ask, untilItAnswers, worker } = await start(t)
  await untilItAnswers()
  await worker()!.terminate()
  await until('the end is told', () => seen.errors > 0)
  const { queries } = seen
  t.equal((await ask()).length, 2)
  t.equal((await ask()).length, 2)
  t.equal(seen.queries, queries + 2)
})
