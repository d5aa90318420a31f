/**
 * Servers with a seal each, on one store of the test's own: nothing is faked but time, where a test
 * wants to move it, and the way from one server to another.
 */
import type { Test } from 'tap'
import { type Clock, systemClock, systemRandom } from '../../../src/base/clock.ts'
import { Refusal } from '../../../src/base/errors.ts'
import { type Barrier, Keyring } from '../../../src/secrets/barrier/keyring.ts'
import type { SealKind } from '../../../src/secrets/barrier/kind/kind.run.ts'
import { type Body, SealOperator } from '../../../src/secrets/barrier/operator.run.ts'
import { type SealPeers, SealRoom } from '../../../src/secrets/barrier/seal.run.ts'
import { Draft } from '../../../src/secrets/storage.ts'
import { withSystemTables } from '../../../src/store/local.ts'
import { openMemoryStore } from '../../../src/store/memory/engine.ts'
import type { Store } from '../../../src/store/store.ts'
import { sealTables } from '../../../src/store/tables/seal.ts'
import { secretTables } from '../../../src/store/tables/secret.ts'
import { settled } from '../../fake/clock.ts'

export const tables = withSystemTables([...secretTables, ...sealTables])

export const openStore = (clock: Clock = systemClock): Store =>
  openMemoryStore({ tables, clock, random: systemRandom, onCommit: () => {} })

export interface ServerOptions {
  readonly kind?: SealKind
  readonly formerKind?: SealKind
  readonly peers?: SealPeers
  readonly clock?: Clock
  readonly log?: (line: string) => void
}

/** One server's seal. */
export interface Server {
  readonly room: SealRoom
  readonly operator: SealOperator
}

let servers = 0

/** A server that has just started; it stops when the test is over. */
export async function startServer(
  t: Test,
  store: Store,
  { kind, formerKind, peers, clock = systemClock, log = () => {} }: ServerOptions = {},
): Promise<Server> {
  const line = (text: string, fields?: object): void =>
    log(`${text} ${JSON.stringify(fields ?? {})}`)
  const room = new SealRoom({
    ...{ store, clock, kind, formerKind, peers, random: systemRandom },
    log: { trace: line, debug: line, info: line, warn: line, error: line },
    serverId: `server-${++servers}`,
  })
  const facts = {
    version: '1.19.0',
    buildDate: '2026-11-26T00:00:00Z',
    clusterName: () => 'cluster',
    clusterId: () => store.status().clusterId,
    storageType: 'memory',
  }
  const operator = new SealOperator({ room, store, clock, random: systemRandom, facts })
  t.teardown(() => room.stop())
  await room.start()
  return { room, operator }
}

/** What an operator gets, which must be no refusal. */
// biome-ignore lint/suspicious/noExplicitAny: tests look into whatever came
export function got(body: Body | true | Refusal): any {
  if (body instanceof Refusal) throw new Error(`${body.status} ${body.text}`)
  return body
}

/** A refusal as text. */
export const refused = (came: unknown): string =>
  came instanceof Refusal ? `${came.status} ${came.text}` : `none: ${JSON.stringify(came)}`

export const shamir = (shares = 5, threshold = 3) => ({
  ...{ secretShares: shares, secretThreshold: threshold, pgpKeys: [], rootTokenPgpKey: '' },
  ...{ recoveryShares: 0, recoveryThreshold: 0, recoveryPgpKeys: [] },
})

export const recovery = (shares = 5, threshold = 3) => ({
  ...{ secretShares: 0, secretThreshold: 0, pgpKeys: [], rootTokenPgpKey: '' },
  ...{ recoveryShares: shares, recoveryThreshold: threshold, recoveryPgpKeys: [] },
})

/** Enters shares until it is unsealed. */
export async function unseal({ operator }: Server, keys: readonly string[]): Promise<void> {
  for (const key of keys) got(await operator.unseal({ key, reset: false, migrate: false }))
}

/** A server of a new barrier, unsealed, with its shares. */
export async function founded(
  t: Test,
  store: Store,
  options: ServerOptions = {},
  init = options.kind === undefined ? shamir() : recovery(),
) {
  const server = await startServer(t, store, options)
  const keys = got(await server.operator.init(init))
  if (options.kind === undefined) await unseal(server, keys.keys.slice(0, init.secretThreshold))
  return { ...server, keys }
}

/** The rows of a value that only an unsealed server writes. */
export async function write(store: Store, barrier: Barrier, path: string, value: unknown) {
  await store.write((view, now, random) => {
    const draft = new Draft(view, barrier, now, random)
    draft.area('root', 'test').put(path, value)
    return { txn: draft.ops(), answer: true }
  })
}

/** The value again, as a server reads it. */
export const read = (store: Store, barrier: Barrier | undefined, path: string): unknown => {
  if (barrier === undefined) throw new Error('it is sealed')
  const draft = new Draft(store.view(), barrier, systemClock.wall(), systemRandom)
  return draft.area('root', 'test').get(path)
}

/** Waits until something is so; a bound of the test runner ends a wait for nothing. */
export async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await settled(1)
}

/** The same store with another view, as a server that is behind sees it. */
export const storeBehind = (store: Store, view: Store['view']): Store =>
  new Proxy(store, {
    get(target, name) {
      if (name === 'view') return view
      const value: unknown = Reflect.get(target, name)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })

/** Servers that ask each other as they would over the wire. */
export class Peers {
  readonly rooms: SealRoom[] = []
  readonly ask = async (halts: number): Promise<Buffer | undefined> => {
    for (const room of this.rooms) {
      const key = room.handOver(halts)
      if (!(key instanceof Refusal)) return key
    }
    return undefined
  }
}

/** A keyring for what needs no store. */
export const keyringOf = (...terms: readonly number[]): Keyring =>
  new Keyring(new Map(terms.map(term => [term, systemRandom.bytes(32)])), systemRandom.bytes(32))

/** A share that is wrong: at the place of a true one, which is not entered beside it. */
export const wrongShare = (share: string): string =>
  (share.startsWith('0') ? '1' : '0') + share.slice(1)
