/**
 * Access control for faces in tests, joined as agent/access.ts does, with a first token that may
 * do everything.
 */
import type { AgentTokens } from '../../src/agent/publishers.ts'
import { systemClock, systemRandom } from '../../src/base/clock.ts'
import type { Refusal } from '../../src/base/errors.ts'
import { createResolver } from '../../src/base/io/dns2.ts'
import { Timeouts } from '../../src/base/timeouts.ts'
import type { AclRoom } from '../../src/http/registry/acl.ts'
import type { AgentTokensPort } from '../../src/http/registry/agent-token.ts'
import { KeySource, type KeyTools } from '../../src/identity/auth-method/keys.run.ts'
import { loginByJwt } from '../../src/identity/auth-method/verify.run.ts'
import { ANONYMOUS_SECRET, TokenAuthority } from '../../src/identity/authority.run.ts'
import { conditionGate } from '../../src/identity/condition/gate.ts'
import { Conditions } from '../../src/identity/condition/room.run.ts'
import { tokenFacts, tokenGate } from '../../src/identity/gate.ts'
import { RegistryKey } from '../../src/identity/registry-key.ts'
import type { AclSettings } from '../../src/identity/resolve.ts'
import { Identity, type ProofTools } from '../../src/identity/room.run.ts'
import type { Store } from '../../src/store/store.ts'
import { type RecordOf, Writer } from '../../src/store/writer.ts'

/** The secret of the first token of every face with ACLs. */
export const ROOT = 'aaaaaaaa-0000-4000-8000-000000000001'

export interface AclOfTests {
  readonly authority: TokenAuthority
  readonly writer: Writer
  readonly acl: AclRoom
  readonly agentTokens: AgentTokens
  readonly tokens: AgentTokensPort & {
    readonly set: (kind: string, token: string) => Promise<void>
  }
}

/** What a test has otherwise than default deny, and as it reaches issuers. */
export interface AclOptions extends Partial<AclSettings> {
  readonly proofs?: ProofTools
  readonly refuseIssuing?: () => Refusal | undefined
}

/** How proofs are looked at: issuers may lie on loopback. */
export function proofsOfTests(given: Partial<KeyTools> = {}): ProofTools {
  const clock = systemClock
  const keys = new KeySource({
    resolver: createResolver({ clock }),
    mayReach: () => true,
    clock,
    timeouts: new Timeouts(clock),
    ...given,
  })
  return {
    keys,
    verify: (config, bearer) => loginByJwt(config, bearer, keys, clock.wall()),
  }
}

/** `given`: what differs. */
export async function openAcl(
  store: Store,
  node: string,
  given: AclOptions = {},
  recordOf?: RecordOf,
): Promise<AclOfTests> {
  const { datacenter = 'dc1', defaultPolicy = 'deny', keyListPolicy = false } = given
  const settings: AclSettings = { datacenter, defaultPolicy, keyListPolicy }
  const key = new RegistryKey(Buffer.alloc(32, 7))
  const set = new Map<string, string>()
  const authority = new TokenAuthority({
    ...{ store, key, clock: systemClock, settings },
    timeouts: new Timeouts(systemClock),
    defaultToken: () => set.get('default') ?? '',
    recovery: () => undefined,
  })
  const writer = new Writer(
    store,
    conditionGate(tokenGate(settings, key.hashOf(ANONYMOUS_SECRET)), (_view, who) =>
      tokenFacts(who),
    ),
    recordOf,
  )
  let reset: number | undefined
  const room = new Identity({
    ...{ store, writer, random: systemRandom, key, authority },
    ...{ proofs: given.proofs ?? proofsOfTests(), datacenter: settings.datacenter },
    ...(given.refuseIssuing === undefined ? {} : { refuseIssuing: given.refuseIssuing }),
    reset: {
      read: async () => reset,
      clear: async () => {
        reset = undefined
      },
    },
  })
  await room.initialise(ROOT)
  const facts = { ...settings, downPolicy: 'extend-cache', nodeName: node }
  return {
    authority,
    writer,
    acl: { room, facts, view: () => store.view(), conditions: new Conditions(writer) },
    agentTokens: {
      whoOf: kind => authority.authenticate(set.get(kind) ?? set.get('default') ?? ''),
      authenticate: token => authority.authenticate(token),
    },
    tokens: {
      nodeName: node,
      set: async (kind: string, token: string) => void set.set(kind, token),
    },
  }
}
