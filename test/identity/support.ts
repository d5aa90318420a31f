/** A store with ACLs for tests of the identity room. */
import type { Test } from 'tap'
import { wallMs } from '../../src/base/brand.ts'
import { systemRandom } from '../../src/base/clock.ts'
import { everybody } from '../../src/base/who.ts'
import { initialise } from '../../src/identity/bootstrap.ts'
import type { GivenGrants } from '../../src/identity/grants.ts'
import { createPolicy } from '../../src/identity/policy.ts'
import { RegistryKey } from '../../src/identity/registry-key.ts'
import type { AclSettings } from '../../src/identity/resolve.ts'
import { createToken, placeOf, type TokenRequest } from '../../src/identity/token.ts'
import { withSystemTables } from '../../src/store/local.ts'
import { openMemoryStore } from '../../src/store/memory/engine.ts'
import { type Decide, isRefusal, type Store } from '../../src/store/store.ts'
import { registryTables } from '../../src/store/tables/mod.ts'
import { FakeClock } from '../fake/clock.ts'

export const key = new RegistryKey(Buffer.alloc(32, 5))
export const settings: AclSettings = {
  datacenter: 'dc1',
  defaultPolicy: 'deny',
  keyListPolicy: false,
}
export const anonymousKey = key.hashOf('anonymous')

export const noGrants: GivenGrants = {
  policies: [],
  serviceIdentities: [],
  nodeIdentities: [],
  templatedPolicies: [],
}

export const noToken: TokenRequest = {
  ...noGrants,
  description: '',
  roles: [],
  local: false,
  ttlMs: undefined,
  expiresAtMs: 0,
}

/** A secret as rows know it. */
const partsOf = (secret: string, accessor: string) => ({
  key: key.hashOf(secret),
  sealed: key.seal(secret, placeOf(accessor)),
})

export interface World {
  readonly store: Store
  readonly clock: FakeClock
  /** Applies a rule; gives its answer, or throws the refusal's text. */
  run<A>(decide: Decide<A>): Promise<A>
  /** A token with rules of its own, whose secret and accessor are its name. */
  token(name: string, rules: string, more?: Partial<TokenRequest>): Promise<void>
}

/** Opens a store that holds what every store with ACLs holds. */
export async function openWorld(t: Test): Promise<World> {
  const clock = new FakeClock()
  const tables = withSystemTables(registryTables)
  const store = openMemoryStore({ tables, clock, random: systemRandom })
  t.teardown(() => store.close())
  async function run<A>(decide: Decide<A>): Promise<A> {
    const written = await store.write(decide)
    if (isRefusal(written)) throw new Error(written.text)
    return written.answer
  }
  const anonymous = partsOf('anonymous', '00000000-0000-0000-0000-000000000002')
  await run((view, now) => initialise(view, { anonymous, sealedProof: 'proof' }, now))
  return {
    store,
    clock,
    run,
    async token(name, rules, more = {}) {
      const policy = { name, rules, description: '', datacenters: [] }
      await run(view => createPolicy(view, everybody, name, policy))
      const fresh = { accessor: name, secret: partsOf(name, name), authMethod: '', metadata: {} }
      const request = { ...noToken, policies: [{ id: '', name }], ...more }
      await run(view => createToken(view, everybody, fresh, request, wallMs(clock.wall())))
    },
  }
}
