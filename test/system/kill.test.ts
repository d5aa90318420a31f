/**
 * kill -9 of the whole daemon under HTTP load: what was answered with 200 is there afterwards.
 *
 * Each client owns its keys and its service, so for each the state after a restart must be the
 * last one acknowledged, or one that was asked for after it and not answered.
 */
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { seededRandom } from '../../src/base/prng.ts'
import { agentWords, type Daemon, program, startDaemon } from '../clients/daemon.ts'
import { launch, tempFolder, until } from '../clients/process.ts'
import { untilBudget } from '../run/budget.ts'

const CLIENTS = 8
const KILLS_MIN = 5
const KILLS_GOAL = 100
const LOAD_MAX_MS = 700

const seed = process.env.SEED ?? randomBytes(8).toString('hex')
t.comment(`seed ${seed} (set SEED to repeat its choices)`)
const random = seededRandom(Buffer.from(seed, 'hex'))
const below = (count: number): number => Math.floor(random.fraction() * count)

/** What may be found after a restart: the last acknowledged state, then those asked for since. */
class Expected {
  #possible: (string | undefined)[] = [undefined]

  asked(state: string | undefined): void {
    this.#possible.push(state)
  }

  /** The newest one asked for was acknowledged. */
  acknowledged(): void {
    this.#possible = this.#possible.slice(-1)
  }

  allows(state: string | undefined): boolean {
    return this.#possible.includes(state)
  }

  /** What was found is what is kept from now on. */
  settle(state: string | undefined): void {
    this.#possible = [state]
  }

  toString(): string {
    return this.#possible.join(' or ')
  }
}

const keys = new Map<string, Expected>()
const services = new Map<string, Expected>()
const refusals: string[] = []
let acknowledged = 0
let newestIndex = 0

t.test('acknowledged writes survive kill -9', async t => {
  const dataDir = tempFolder(t)
  await untilBudget(
    'kills',
    KILLS_GOAL,
    async index => {
      await t.test(`kill ${index + 1}`, t => endUnderLoad(t, dataDir, daemon => daemon.kill()))
      // One in four is killed again while it recovers.
      if (below(4) === 0) await killWhileStarting(dataDir)
    },
    KILLS_MIN,
  )
  await t.test('SIGTERM under load', t =>
    endUnderLoad(t, dataDir, async daemon => t.equal(await daemon.stop(), 0)),
  )
  t.same(refusals, [], 'nothing was refused, also while draining')
  const last = await startDaemon(t, { dataDir })
  await compare(t, last)
  t.equal(await last.stop(), 0)
  t.comment(`${acknowledged} writes were acknowledged`)
  t.ok(acknowledged > 0)
})

/** Compares what the last end left, then ends the daemon amid new writes. */
async function endUnderLoad(
  t: Test,
  dataDir: string,
  end: (daemon: Daemon) => Promise<unknown>,
): Promise<void> {
  const daemon = await startDaemon(t, { dataDir })
  await compare(t, daemon)
  const load = Promise.all(Array.from({ length: CLIENTS }, (_, i) => runClient(daemon, i)))
  await sleep(below(LOAD_MAX_MS))
  await end(daemon)
  await load
}

/** Writes one after the other until the daemon is gone. */
async function runClient(daemon: Daemon, client: number): Promise<void> {
  try {
    for (;;) await (below(5) === 0 ? changeService(daemon, client) : changeKey(daemon, client))
  } catch {
    // The daemon was killed: what was asked for last is unknown.
  }
}

async function changeKey(daemon: Daemon, client: number): Promise<void> {
  const key = `load/${client}/${below(20)}`
  const expected = keys.get(key) ?? new Expected()
  keys.set(key, expected)
  if (below(6) === 0) {
    expected.asked(undefined)
    await acknowledge(expected, daemon.ask('DELETE', `/v1/kv/${key}`))
    return
  }
  const value = `${client}-${random.uuid()}`
  expected.asked(value)
  await acknowledge(expected, daemon.ask('PUT', `/v1/kv/${key}`, value))
}

async function changeService(daemon: Daemon, client: number): Promise<void> {
  const id = `load-${client}-${below(3)}`
  const expected = services.get(id) ?? new Expected()
  services.set(id, expected)
  const port = String(1 + below(60_000))
  expected.asked(port)
  const service = { ID: id, Name: 'load', Port: Number(port) }
  await acknowledge(expected, daemon.ask('PUT', '/v1/agent/service/register', service))
  if (below(3) > 0) return
  expected.asked(undefined)
  await acknowledge(expected, daemon.ask('PUT', `/v1/agent/service/deregister/${id}`))
}

async function acknowledge(expected: Expected, asking: ReturnType<Daemon['ask']>): Promise<void> {
  const { status, text } = await asking
  if (status !== 200) {
    refusals.push(`${status} ${text}`)
    throw new Error('refused')
  }
  expected.acknowledged()
  acknowledged += 1
}

interface Entry {
  readonly Key: string
  readonly Value: string
  readonly ModifyIndex: number
}

async function compare(t: Test, daemon: Daemon): Promise<void> {
  const { status, text, headers } = await daemon.ask('GET', '/v1/kv/load/?recurse')
  const entries: Entry[] = status === 404 ? [] : JSON.parse(text)
  const values = new Map(
    entries.map(({ Key, Value }) => [Key, Buffer.from(Value, 'base64').toString()]),
  )
  const wrong = mismatches(keys, values)
  const local = await daemon.read<Record<string, { Port: number }>>('/v1/agent/services')
  const ports = new Map(Object.entries(local).map(([id, { Port }]) => [id, String(Port)]))
  wrong.push(...mismatches(services, ports))
  const catalog = await until('the catalog shows the same', async () => {
    const list = await daemon.read<{ ServiceID: string; ServicePort: number }[]>(
      '/v1/catalog/service/load',
    )
    const shown = new Map(list.map(each => [each.ServiceID, String(each.ServicePort)]))
    const isSame = shown.size === ports.size && [...ports].every(([id, p]) => shown.get(id) === p)
    return isSame && shown
  })
  t.same(wrong, [], `${keys.size} keys, ${catalog.size} services`)
  const index = Number(headers['x-consul-index'])
  t.ok(index >= newestIndex, `the index never goes back: ${index}`)
  newestIndex = index
}

function mismatches(expected: Map<string, Expected>, found: Map<string, string>): string[] {
  const wrong: string[] = []
  for (const [name, its] of expected) {
    const state = found.get(name)
    if (!its.allows(state)) wrong.push(`${name} is ${state}, not ${its}`)
    its.settle(state)
  }
  for (const name of found.keys()) {
    if (!expected.has(name)) wrong.push(`${name} was never written`)
  }
  return wrong
}

async function killWhileStarting(dataDir: string): Promise<void> {
  const started = launch(t, program, agentWords(dataDir))
  await sleep(below(LOAD_MAX_MS))
  started.signal('SIGKILL')
  await started.ended
}
