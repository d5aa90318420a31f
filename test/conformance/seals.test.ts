/** Every kind of seal against one contract: what the barrier may count on, whoever opens it. */
import t, { type Test } from 'tap'
import { systemClock, systemRandom } from '../../src/base/clock.ts'
import { limits } from '../../src/base/limits.ts'
import type { SealKind } from '../../src/secrets/barrier/kind/kind.run.ts'
import { openStaticSeal } from '../../src/secrets/barrier/kind/static.run.ts'
import { openTransitSeal } from '../../src/secrets/barrier/kind/transit.run.ts'
import type { Store } from '../../src/store/store.ts'
import type { AnyTable } from '../../src/store/table.ts'
import { sealTables } from '../../src/store/tables/seal.ts'
import { secretTables } from '../../src/store/tables/secret.ts'
import { FakeClock } from '../fake/clock.ts'
import { FakeTransit } from '../fake/transit.ts'
import {
  founded,
  got,
  openStore,
  Peers,
  read,
  type Server,
  startServer,
  unseal,
  write,
} from '../secrets/barrier/world.ts'

/** A kind of seal as the suite starts servers with it. */
interface Trial {
  /** One for each server that starts; undefined for key shares. */
  kind(): Promise<SealKind | undefined>
  /** One that cannot open what this seal sealed. */
  stranger(): Promise<SealKind | undefined>
  /** Whether a start is enough. */
  readonly isAutomatic: boolean
  /** Whether servers open each other. */
  readonly hasPeers: boolean
}

const trials: Readonly<Record<string, (t: Test) => Promise<Trial>>> = {
  shamir: async () => ({
    kind: async () => undefined,
    stranger: async () => undefined,
    isAutomatic: false,
    hasPeers: false,
  }),
  peer: async () => ({
    kind: async () => undefined,
    stranger: async () => undefined,
    isAutomatic: false,
    hasPeers: true,
  }),
  static: async () => {
    const key = systemRandom.bytes(32).toString('hex')
    const open = (current: string): Promise<SealKind> =>
      openStaticSeal(
        { current: { id: 'one', key: current }, previous: undefined },
        { random: systemRandom, environment: {} },
      )
    return {
      kind: () => open(key),
      stranger: () => open(systemRandom.bytes(32).toString('hex')),
      isAutomatic: true,
      hasPeers: false,
    }
  },
  transit: async t => {
    const [server, other] = [new FakeTransit(), new FakeTransit()]
    const addresses = [await server.listen(), await other.listen()] as const
    t.teardown(() => Promise.all([server.close(), other.close()]))
    const open = async (address: string, token: string): Promise<SealKind> =>
      openTransitSeal(
        {
          ...{ address, token, keyName: 'unseal', mountPath: 'transit/', namespace: '' },
          ...{ isRenewed: false, serverName: '', isVerified: true },
        },
        {
          ...{ clock: systemClock, context: undefined, addressesOf: async () => [] },
          log: { trace() {}, debug() {}, info() {}, warn() {}, error() {} },
        },
      )
    return {
      kind: () => open(addresses[0], server.token),
      stranger: () => open(addresses[1], other.token),
      isAutomatic: true,
      hasPeers: false,
    }
  },
}

for (const [name, make] of Object.entries(trials)) {
  t.test(name, async t => sealConformance(t, await make(t)))
}

async function sealConformance(t: Test, trial: Trial): Promise<void> {
  /** A new barrier with one server, and how another one starts. */
  const begin = async (t: Test) => {
    const clock = new FakeClock()
    const store = openStore(clock)
    const peers = new Peers()
    const lines: string[] = []
    const log = (line: string): void => void lines.push(line)
    const options = async (kind = trial.kind()) => {
      const opened = await kind
      const asked = trial.hasPeers ? { peers } : {}
      return { clock, log, ...asked, ...(opened === undefined ? {} : { kind: opened }) }
    }
    const first = await founded(t, store, await options())
    peers.rooms.push(first.room)
    const shares: string[] = trial.isAutomatic ? first.keys.recovery_keys : first.keys.keys
    const start = async (kind?: Promise<SealKind | undefined>): Promise<Server> => {
      const server = await startServer(t, store, await options(kind))
      if (trial.hasPeers) await clock.advance(limits.sealPeerMs)
      return server
    }
    /** Starts a server and has it opened in the way of this kind. */
    const startOpen = async (by = shares): Promise<Server> => {
      const server = await start()
      if (!trial.isAutomatic && !trial.hasPeers) await unseal(server, by.slice(0, 3))
      return server
    }
    return { clock, store, first, shares, start, startOpen, lines }
  }

  t.test('another server opens what the first one wrote', async t => {
    const { store, first, startOpen } = await begin(t)
    await write(store, first.room.barrier()!, 'a', 1)
    const other = await startOpen()
    t.equal(read(store, other.room.barrier(), 'a'), 1)
    t.match(other.operator.sealStatus(), { sealed: false, initialized: true, n: 5, t: 3 })
  })

  t.test('whoever opens it late knows every term and every new root key', async t => {
    const { store, first, startOpen } = await begin(t)
    for (const path of ['a', 'b', 'c']) {
      await write(store, first.room.barrier()!, path, path)
      got(await first.operator.rotate())
      got(await first.operator.rotateRoot())
    }
    const other = await startOpen()
    for (const path of ['a', 'b', 'c']) t.equal(read(store, other.room.barrier(), path), path)
  })

  t.test('who follows is ready for the first row of a new term', async t => {
    const { store, first, startOpen } = await begin(t)
    const other = await startOpen()
    got(await first.operator.rotate())
    await write(store, first.room.barrier()!, 'a', 1)
    t.equal(read(store, other.room.barrier(), 'a'), 1)
    got(await other.operator.rotateRoot())
    await write(store, other.room.barrier()!, 'b', 2)
    t.equal(read(store, first.room.barrier(), 'b'), 2)
  })

  const closedTest = async (t: Test): Promise<void> => {
    const { start } = await begin(t)
    const server = await start(trial.stranger())
    t.equal(server.room.barrier(), undefined)
    const { warnings } = got(server.operator.sealStatus())
    t.match(warnings[0], /^sealed: it(s seal| waits)/)
  }
  // With peers there is somebody who opens it.
  if (!trial.hasPeers) t.test('what somebody else sealed stays closed, and says why', closedTest)

  t.test('an operator seals it for good; its shares open it again', async t => {
    const { clock, first, startOpen, shares, store } = await begin(t)
    const other = await startOpen()
    await write(store, other.room.barrier()!, 'a', 1)
    await first.operator.seal()
    await clock.advance(2 * limits.sealRetryMaxMs)
    t.strictSame([first.room.barrier(), other.room.barrier()], [undefined, undefined])
    await unseal(first, shares.slice(1, 4))
    t.equal(read(store, first.room.barrier(), 'a'), 1)
  })

  t.test('its shares make a root token', async t => {
    const { first, shares } = await begin(t)
    const { nonce } = got(await first.operator.rootTokenStart({ otp: '', pgpKey: '' }))
    for (const share of shares.slice(0, 2)) got(await first.operator.rootTokenUpdate(share, nonce))
    t.match(await first.operator.rootTokenUpdate(shares[2]!, nonce), { complete: true })
  })

  t.test('no key, share or token is in the log or in clear in the store', async t => {
    const { first, startOpen, shares, lines, store } = await begin(t)
    await startOpen()
    got(await first.operator.rotate())
    await first.operator.seal()
    const secrets = [...shares, first.keys.root_token]
    const all = `${lines.join('\n')}\n${rowsOf(store)}`
    t.ok(lines.length > 0)
    for (const secret of secrets) {
      const forms = [secret, Buffer.from(secret, 'hex').toString('base64')]
      t.notOk(
        forms.some(form => form !== '' && all.includes(form)),
        'a secret',
      )
    }
  })
}

/** Every row as it lies, as text. */
function rowsOf(store: Store): string {
  const view = store.view()
  // Cold rows are in no view; nothing here writes one.
  const tables: readonly AnyTable[] = [...secretTables, ...sealTables].filter(
    ({ isCold }) => !isCold,
  )
  return tables
    .flatMap(table => view.prefix(table, '').map(({ row }) => table.codec.encode(row)))
    .map(bytes => bytes.toString('latin1'))
    .join('\n')
}
