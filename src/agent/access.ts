/**
 * Access control of an agent: the key, the agent's own tokens, and what looks at the tokens of
 * others.
 *
 * Owns how these are joined, with ACLs on or off. Off, everybody may do everything, and the key
 * still seals what others leave with us.
 */
import { join } from 'node:path'
import type { Refusal } from '../base/errors.ts'
import { createResolver } from '../base/io/dns2.ts'
import { readFileIfExists, removeFile } from '../base/io/file.ts'
import { Timeouts } from '../base/timeouts.ts'
import { type Authority, openAuthority } from '../base/who.ts'
import { targetGuard } from '../checks/guard.ts'
import type { AclRoom } from '../http/registry/acl.ts'
import { KeySource } from '../identity/auth-method/keys.run.ts'
import { loginByJwt } from '../identity/auth-method/verify.run.ts'
import { ANONYMOUS_SECRET, TokenAuthority } from '../identity/authority.run.ts'
import { conditionGate } from '../identity/condition/gate.ts'
import { Conditions } from '../identity/condition/room.run.ts'
import { tokenFacts, tokenGate } from '../identity/gate.ts'
import type { OtherTokens } from '../identity/other-token.ts'
import { recoveryPrincipal } from '../identity/recovery.ts'
import { loadRegistryKey } from '../identity/registry-key.run.ts'
import { type RegistryKey, sealerFor } from '../identity/registry-key.ts'
import { type BootstrapReset, Identity, type ProofTools } from '../identity/room.run.ts'
import type { Age } from '../store/freshness.ts'
import type { Store } from '../store/store.ts'
import { openGate, type RecordOf, Writer } from '../store/writer.ts'
import type { SettledConfig } from './config.ts'
import type { World } from './parts.ts'
import { type AgentTokens, openTokens } from './publishers.ts'
import { OwnTokens } from './tokens.ts'

export interface AccessControl {
  readonly key: RegistryKey
  readonly tokens: OwnTokens
  /** Whom they stand for. */
  readonly agentTokens: AgentTokens
  readonly authority: Authority
  readonly writer: Writer
  /** Undefined where ACLs are off. */
  readonly acl: AclRoom | undefined
}

/** What access control asks of the rest of its server. */
export interface AccessPorts {
  /** Makes the audit records of writes. */
  readonly recordOf: RecordOf
  readonly age: Age
  /** See IdentityOptions. Asked only once the agent runs. */
  readonly refuseIssuing: () => Refusal | undefined
  /** Who knows the tokens of the secrets; undefined where that half is off, or not made yet. */
  readonly others?: () => OtherTokens | undefined
}

/** Loads what access control stands on. Throws OperatingError with the way out. */
export async function openAccess(
  config: SettledConfig,
  store: Store,
  { clock, random, log }: World,
  { recordOf, age, refuseIssuing, others = () => undefined }: AccessPorts,
): Promise<AccessControl> {
  const { dataDir, datacenter, nodeName } = config
  const key = await loadRegistryKey(dataDir, random)
  const keptIn = config.acl.keepsTokens ? dataDir : undefined
  const sealer = sealerFor(key, 'agent/token')
  const tokens = new OwnTokens({ configured: config.acl.tokens, dataDir: keptIn, sealer, log })
  if (config.acl.enabled) await tokens.load()
  if (!config.acl.enabled) {
    const writer = new Writer(store, openGate, recordOf)
    const open = { authority: openAuthority, agentTokens: openTokens, acl: undefined }
    return { key, tokens, writer, ...open }
  }
  const { defaultPolicy, keyListPolicy, downPolicy } = config.acl
  const settings = { datacenter, defaultPolicy, keyListPolicy }
  const recoverer = recoveryPrincipal(nodeName)
  const authority = new TokenAuthority({
    ...{ store, key, clock, settings, age, downPolicy, others },
    timeouts: new Timeouts(clock),
    defaultToken: () => tokens.of('default'),
    recovery: () => {
      const token = tokens.of('agent_recovery')
      return token === '' ? undefined : { token, principal: recoverer }
    },
  })
  const writer = new Writer(
    store,
    conditionGate(tokenGate(settings, key.hashOf(ANONYMOUS_SECRET)), (_view, who) =>
      tokenFacts(who),
    ),
    recordOf,
  )
  const reset = dataDir === undefined ? NO_RESET : resetIn(dataDir)
  const facts = { ...settings, downPolicy, nodeName }
  const agentTokens: AgentTokens = {
    whoOf: kind => authority.authenticate(tokens.of(kind) || tokens.of('default')),
    authenticate: token => authority.authenticate(token),
  }
  const conditions = new Conditions(writer)
  const keys = new KeySource({
    resolver: createResolver({ clock }),
    mayReach: targetGuard(config.loginTargetsAllow),
    clock,
    timeouts: new Timeouts(clock),
  })
  const verify: ProofTools['verify'] = (method, bearer) =>
    loginByJwt(method, bearer, keys, clock.wall())
  const common = { store, writer, random, key, authority, reset, datacenter, refuseIssuing }
  const room = new Identity({ ...common, proofs: { keys, verify } })
  const view = () => store.view()
  const acl = { room, facts, view, conditions }
  return { key, tokens, agentTokens, authority, writer, acl }
}

/** Consul's file, by which who can write to the server's disk bootstraps once more. */
const RESET = 'acl-bootstrap-reset'
const NO_RESET: BootstrapReset = { read: async () => undefined, clear: async () => {} }

function resetIn(dataDir: string): BootstrapReset {
  const path = join(dataDir, RESET)
  return {
    async read() {
      const text = (await readFileIfExists(path))?.toString('latin1').trim()
      return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined
    },
    clear: () => removeFile(path),
  }
}
