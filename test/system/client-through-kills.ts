/**
 * The client's example, examples/follow.ts, before three servers that are killed one by one while
 * others write: what it prints is held against a ledger of what was acknowledged.
 *
 * Owns the run and the verdict. The example is a program of its own, as its readers start it.
 */
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { Test } from 'tap'
import { type Client, connect, GatehouseError } from '../../src/client/mod.ts'
import { processesOn } from '../../src/store/etcd/member/process.ts'
import { freePort, type Launched, launch, until } from '../clients/process.ts'
import { root } from '../clients/running.ts'
import { foundCluster } from '../clients/target.ts'

/** Between two writes of one writer. */
const PACE_MS = 10
const SHARED_KEYS = 4

/** A write as its writer knows it. */
export interface Written {
  readonly key: string
  /** Of its own, so that it is known again; undefined for a deletion. */
  readonly value: string | undefined
  /** Undefined where nobody knows whether it was done. */
  revision: number | undefined
}

/** A change as the example prints it. */
export interface Printed {
  readonly kind: 'added' | 'changed' | 'removed'
  readonly key: string
  readonly revision: number
  readonly value?: string
}

export interface Run {
  readonly ledger: readonly Written[]
  readonly changes: readonly Printed[]
  /** What the example said in the end that it knows, and what a server says: keys to indexes. */
  readonly view: Readonly<Record<string, number>>
  readonly store: Readonly<Record<string, number>>
  /** How often the example lost its server. */
  readonly losses: number
  /** What became of the service that the example offers. */
  readonly instances: readonly string[]
}

/** Kills each server `rounds` times; `member`: what it runs of etcd as well. */
export async function followThroughKills(t: Test, rounds: number, member: boolean): Promise<Run> {
  const ports = [await freePort(), await freePort(), await freePort()]
  const wordsOf = (at: number): string[] => [`-grpc-port=${ports[at]}`, `-node=server-${at}`]
  const cluster = await foundCluster(t, { wordsOf })
  const daemons = [...cluster.servers]
  const servers = ports.map(port => `127.0.0.1:${port}`)
  const client = connect({ servers })
  t.teardown(() => client.close())
  const example = startExample(t, servers)
  await until('the example is registered', () =>
    linesOf(example).some(line => 'registered' in line),
  )

  const ledger: Written[] = []
  const stop = new AbortController()
  const writers = [unique, shared, passing].map(write => write(client, ledger, stop.signal))
  for (let kills = 0; kills < rounds * servers.length; kills++) {
    // The one that the example follows now, so that each kill is felt.
    const live = linesOf(example).findLast(line => typeof line.live === 'string')
    const at = Math.max(0, servers.indexOf(`${live?.live}`))
    await daemons[at]!.kill()
    if (member) {
      const { dataDir } = daemons[at]!
      for (const pid of await processesOn(path.join(dataDir, 'etcd'))) process.kill(pid, 'SIGKILL')
    }
    const marker = `kill-${kills}`
    await until(`a write after ${marker}`, () => note(ledger, `app/${marker}`, marker, client))
    await until(`${marker} is seen`, () => {
      return linesOf(example).some(line => line.key === `app/${marker}`)
    })
    daemons[at] = await until('it is back', () => cluster.restart(at))
  }
  stop.abort()
  await Promise.all(writers)
  await until('the last write', () => note(ledger, 'app/last', 'last', client))
  await until('it is seen', () => linesOf(example).some(line => line.key === 'app/last'))
  const store = Object.fromEntries(
    (await client.kv.list('app/')).map(({ key, modifyIndex }) => [key, modifyIndex]),
  )
  await until('the instance is there', () => {
    return linesOf(example).findLast(line => 'instance' in line)?.kind === 'added'
  })
  example.signal('SIGTERM')
  const code = await example.ended
  if (code !== 0) throw new Error(`the example ended with ${code}: ${example.stderr()}`)
  const lines = linesOf(example)
  return {
    ledger,
    changes: lines.filter(line => 'key' in line) as unknown as Printed[],
    view: (lines.find(line => 'view' in line)?.view ?? {}) as Run['view'],
    store,
    losses: lines.filter(line => 'stale' in line).length,
    instances: lines.filter(line => 'instance' in line).map(({ kind }) => `${kind}`),
  }
}

function startExample(t: Test, servers: readonly string[]): Launched {
  // What the package gives under this name, from its sources.
  const words = ['--conditions=gatehouse-source', '--no-warnings', 'examples/follow.ts']
  return launch(t, process.execPath, [...words, 'app/', 'follower', ...servers], { cwd: root })
}

type Line = Readonly<Record<string, unknown>>

function linesOf(example: Launched): Line[] {
  if (!example.isRunning() && example.stderr() !== '') throw new Error(example.stderr())
  const text = example.stdout()
  const whole = text.slice(0, text.lastIndexOf('\n') + 1)
  return whole
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line) as Line)
}

/** Writes, and says so in the ledger; false where it is to be tried again with another value. */
async function note(
  ledger: Written[],
  key: string,
  value: string | undefined,
  client: Client,
): Promise<boolean> {
  const written: Written = { key, value, revision: undefined }
  try {
    if (value === undefined) await client.kv.delete(key)
    else {
      // Before the answer: the example may print it first.
      ledger.push(written)
      written.revision = await client.kv.put(key, value)
    }
    return true
  } catch (error) {
    if (error instanceof GatehouseError && error.retryable) return false
    throw error
  }
}

type Writer = (client: Client, ledger: Written[], stop: AbortSignal) => Promise<void>

/** Each key once: nothing may hide that it was lost. */
const unique: Writer = async (client, ledger, stop) => {
  for (let count = 0; !stop.aborted; count++) {
    await note(ledger, `app/unique/${count}`, `u${count}`, client)
    await pause(PACE_MS)
  }
}

/** The same few keys again and again. */
const shared: Writer = async (client, ledger, stop) => {
  for (let count = 0; !stop.aborted; count++) {
    await note(ledger, `app/shared/${count % SHARED_KEYS}`, `s${count}`, client)
    await pause(PACE_MS)
  }
}

/** Keys that come and go. */
const passing: Writer = async (client, ledger, stop) => {
  for (let count = 0; !stop.aborted; count++) {
    const key = `app/passing/${(count >> 1) % SHARED_KEYS}`
    await note(ledger, key, count % 2 === 0 ? `p${count}` : undefined, client)
    await pause(PACE_MS)
  }
}

/** What is wrong with a run; nothing where no change was lost, repeated or invented. */
export function faultsOf({ ledger, changes, view, store }: Run): string[] {
  const faults: string[] = []
  const byValue = new Map(ledger.map(one => [`${one.key} ${one.value}`, one]))
  const newest = new Map<string, number>()
  const state = new Map<string, number>()
  for (const { kind, key, revision, value } of changes) {
    const what = `${kind} ${key} at ${revision}`
    if (revision <= (newest.get(key) ?? 0)) faults.push(`${what}: repeated, or out of order`)
    newest.set(key, revision)
    if ((kind === 'added') === state.has(key)) faults.push(`${what}: does not fit what was there`)
    if (kind === 'removed') {
      state.delete(key)
      continue
    }
    state.set(key, revision)
    const written = byValue.get(`${key} ${value}`)
    if (written === undefined) faults.push(`${what}: nobody wrote ${value}`)
    else if (written.revision !== undefined && written.revision !== revision) {
      faults.push(`${what}: it was acknowledged at ${written.revision}`)
    }
  }
  for (const { key, revision, value } of ledger) {
    if (revision !== undefined && (newest.get(key) ?? 0) < revision) {
      faults.push(`lost: ${key} at ${revision}, ${value}`)
    }
  }
  for (const [what, there] of Object.entries({ view, store })) {
    for (const key of new Set([...state.keys(), ...Object.keys(there)])) {
      if (state.get(key) === there[key]) continue
      faults.push(`${key}: ${state.get(key)} by the changes, ${there[key]} in the ${what}`)
    }
  }
  return faults
}
