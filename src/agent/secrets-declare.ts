/**
 * The declarative start: what the stanza `initialize` names is there once a server is unsealed.
 *
 * Owns that no root token is left: there is none from the beginning, and what applies the entries
 * is a token of this process that ends by itself and is revoked at the end. It goes the way of
 * every request, so that validation and audit hold for it.
 */
import { readFile } from 'node:fs/promises'
import type { Audit } from '../audit/audit.run.ts'
import { messageOf, OperatingCode, OperatingError, Refusal } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { SecretsCaller } from '../secrets/audit.ts'
import type { SealRoom } from '../secrets/barrier/seal.run.ts'
import type { SecretsRequest } from '../secrets/decide.ts'
import {
  type ApplyPorts,
  type Asked,
  applySteps,
  planEntries,
} from '../secrets/declared/apply.run.ts'
import type { Entry } from '../secrets/declared/document.ts'
import type { Json, JsonObject } from '../secrets/field.ts'
import { rootTokenRow } from '../secrets/initial.ts'
import type { Handled, Secrets } from '../secrets/room.run.ts'
import { Draft } from '../secrets/storage.ts'
import { issueToken } from '../secrets/token/issue.ts'
import { isRefusal, type Store } from '../store/store.ts'
import type { SettledConfig } from './config.ts'
import type { World } from './parts.ts'
import { type FirstKeys, initialise } from './secrets-begin.ts'

export interface DeclareGround {
  readonly store: Store
  readonly seal: SealRoom
  readonly secrets: Secrets
  readonly audit: Audit
}

/** Initialises where the configuration says so; gives what is to be told then. */
export async function firstKeys(
  config: SettledConfig,
  ground: DeclareGround,
  world: World,
): Promise<FirstKeys | undefined> {
  const { initialisesItself, declared } = config.secrets
  // With a declaration nobody needs a first token, but who tries things out.
  const hasToken = initialisesItself && (declared.length === 0 || config.isDev)
  const first = hasToken ? await initialise(config, ground.seal) : undefined
  if (declared.length > 0) await declare(declared, ground, world)
  return first
}

/** Answers a request as if a client had made it, with its record. */
async function handle(
  { secrets, audit }: DeclareGround,
  request: SecretsRequest,
  method: string,
): Promise<Handled> {
  const caller = new SecretsCaller(request, method, { bodySizeBytes: 0 })
  const handled = await secrets.handle(request, caller)
  const reason = handled instanceof Refusal ? { reason: handled.text } : {}
  await audit.answered(caller, { status: handled.status, ...reason })
  return handled
}

const NO_SHARES = { shares: 0, threshold: 0 }

/**
 * Initialises where that was not done, and applies the entries. Rejects with OperatingError where
 * the first start cannot have them; a later start logs that and goes on.
 */
async function declare(
  entries: readonly Entry[],
  ground: DeclareGround,
  world: World,
): Promise<void> {
  const { seal } = ground
  const { log } = world
  const isFirst = !seal.state().isInitialised
  if (isFirst) {
    const founded = await seal.found({ counts: NO_SHARES, recovery: NO_SHARES, isRootless: true })
    if (founded instanceof Refusal) log.warn('another server initialised first')
  }
  if (seal.barrier() === undefined) {
    log.warn('initialize is not looked at before the next start', { reason: seal.state().reason })
    return
  }
  const problem = await applied(entries, isFirst, ground, world)
  if (problem === undefined) return
  if (isFirst) throw new OperatingError(OperatingCode.unavailable, `initialize: ${problem}`)
  log.error('initialize was not applied whole', { problem })
}

/** Applies by a token of this process; gives what ended it. */
async function applied(
  entries: readonly Entry[],
  isFirst: boolean,
  ground: DeclareGround,
  world: World,
): Promise<string | undefined> {
  const token = await shortToken(ground)
  if (token instanceof Refusal) return token.text
  const ports = portsOf(token, ground, world)
  try {
    const planned = await planEntries(entries, ports, { isFirst, rewritten: [] })
    if ('problem' in planned) return planned.problem
    return await applySteps(planned.steps, ports, ({ entry, action }) =>
      world.log.info('initialize was applied', { entry: entry.name, action }),
    )
  } finally {
    await ports.ask('update', 'auth/token/revoke-self', {}).catch((error: unknown) => {
      world.log.warn('the token of initialize ends by itself', { error: messageOf(error) })
    })
  }
}

/** A token that may do everything for a few minutes; its secret stays in this process. */
async function shortToken({ store, seal }: DeclareGround): Promise<string | Refusal> {
  const barrier = seal.barrier()
  if (barrier === undefined) return new Refusal(503, 'Vault is sealed')
  const written = await store.write<string>((view, now, random) => {
    const draft = new Draft(view, barrier, now, random)
    const wish = { ...rootTokenRow, displayName: 'initialize', ttlMs: limits.applyTokenMs }
    const { secret } = issueToken(draft, wish)
    return { txn: draft.ops(), answer: secret }
  })
  return isRefusal(written) ? written : written.answer
}

const METHODS = { read: 'GET', update: 'POST', patch: 'PATCH', delete: 'DELETE' } as const

function portsOf(token: string, ground: DeclareGround, { environment, random }: World): ApplyPorts {
  return {
    environment,
    readFile: path => readFile(path, 'utf8'),
    async ask(operation, path, data): Promise<Asked> {
      const facts = {
        id: random.uuid(),
        remote: '127.0.0.1',
        wrapTtlMs: undefined,
        headers: {},
        isList: false,
      }
      const request = { operation, path, namespace: '', token, data, facts }
      const handled = await handle(ground, request, METHODS[operation])
      if (handled instanceof Refusal) {
        return { status: handled.status, data: {}, errors: [handled.text] }
      }
      const body = handled.body.length === 0 ? {} : JSON.parse(handled.body.toString())
      const { data: shown, errors } = body as { data?: Json; errors?: string[] }
      const isData = typeof shown === 'object' && shown !== null && !Array.isArray(shown)
      const found = isData ? (shown as JsonObject) : {}
      return { status: handled.status, data: found, errors: errors ?? [] }
    },
  }
}
