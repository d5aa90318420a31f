/** The identity room: the first token, the key that rows were sealed with, secrets. */
import t from 'tap'
import { systemRandom } from '../../src/base/clock.ts'
import { OperatingError, Refusal } from '../../src/base/errors.ts'
import { Timeouts } from '../../src/base/timeouts.ts'
import { TokenAuthority } from '../../src/identity/authority.run.ts'
import { RegistryKey } from '../../src/identity/registry-key.ts'
import { type BootstrapReset, Identity, type ProofTools } from '../../src/identity/room.run.ts'
import { isRefusal, type Store } from '../../src/store/store.ts'
import { Writer } from '../../src/store/writer.ts'
import { key, openWorld, settings, type World } from './support.ts'

/** Nobody logs in here. */
const noProofs: ProofTools = {
  keys: { problemOf: async () => 'no issuer was to be asked' },
  verify: async () => new Refusal(403, 'no proof was to be looked at'),
}

const noReset: BootstrapReset = { read: async () => undefined, clear: async () => {} }

function roomOn(
  { clock }: World,
  store: Store,
  given: { key?: RegistryKey; reset?: BootstrapReset } = {},
): Identity {
  const own = given.key ?? key
  const authority = new TokenAuthority({
    ...{ store, clock, settings, key: own },
    timeouts: new Timeouts(clock),
    defaultToken: () => '',
    recovery: () => undefined,
  })
  const writer = new Writer(store)
  return new Identity({
    ...{ store, writer, random: systemRandom, key: own, authority },
    reset: given.reset ?? noReset,
    proofs: noProofs,
    datacenter: 'dc1',
  })
}

/** A store without anything: the world's own holds what every store holds. */
async function emptyStore(t: Parameters<typeof openWorld>[0]) {
  const world = await openWorld(t)
  const { openMemoryStore } = await import('../../src/store/memory/engine.ts')
  const { withSystemTables } = await import('../../src/store/local.ts')
  const { registryTables } = await import('../../src/store/tables/mod.ts')
  const tables = withSystemTables(registryTables)
  const store = openMemoryStore({ tables, clock: world.clock, random: systemRandom })
  t.teardown(() => store.close())
  return { world, store }
}

t.test('bootstraps once; again for who wrote the reset index on the disk', async t => {
  const { world, store } = await emptyStore(t)
  let written: number | undefined
  const reset = {
    read: async () => written,
    clear: async () => {
      written = undefined
    },
  }
  const room = roomOn(world, store, { reset })
  await room.initialise('')
  const first = await room.bootstrap('')
  if (isRefusal(first)) throw new Error(first.text)
  t.match(room.secretOf(first.row), /^[0-9a-f-]{36}$/)
  const again = await room.bootstrap('')
  t.type(again, Refusal)
  const index = Number(/reset index: (\d+)/.exec((again as Refusal).text)?.[1])
  t.ok(index > 0)
  written = index - 1
  t.type(await room.bootstrap(''), Refusal, 'another number is not enough')
  written = index
  const secret = 'aaaaaaaa-1111-4222-8333-444444444444'
  const second = await room.bootstrap(secret)
  if (isRefusal(second)) throw new Error(second.text)
  t.equal(room.secretOf(second.row), secret)
  t.equal(written, undefined, 'it is used up')
  t.type(await room.bootstrap(''), Refusal)
  t.match(await room.bootstrap('no uuid'), { text: /not a valid UUID/ })
})

t.test('the token of the configuration is made once, and stands for a bootstrap', async t => {
  const { world, store } = await emptyStore(t)
  const room = roomOn(world, store)
  await room.initialise('the secret')
  const { revision } = store.view()
  await room.initialise('the secret')
  t.equal(store.view().revision, revision, 'a second start writes nothing')
  t.match(await room.bootstrap(''), { status: 403 })
})

t.test('rows that another key sealed are refused with the way out', async t => {
  const { world, store } = await emptyStore(t)
  await roomOn(world, store).initialise('')
  const foreign = roomOn(world, store, { key: new RegistryKey(Buffer.alloc(32, 1)) })
  await t.rejects(foreign.initialise(''), OperatingError)
  await t.rejects(foreign.initialise(''), /registry\.key/)
})
