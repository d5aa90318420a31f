/**
 * The secrets as a face sees them: one function that takes a request and gives its answer.
 *
 * Owns joining the pure way of a request (decide.ts) with the store, the seal and the clock: reads
 * are decided on a confirmed view, writes inside their transaction, what takes time before it.
 */

import { type WallMs, wallMs } from '../base/brand.ts'
import type { Bytes } from '../base/bytes.ts'
import type { Clock, Random } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import { after, type Eventually } from '../base/eventually.ts'
import type { Who } from '../base/who.ts'
import type { JournalEntry } from '../store/journal.ts'
import { isRefusal, type Store } from '../store/store.ts'
import type { Reader } from '../store/view.ts'
import type { Trail } from './audit.ts'
import type { Barrier } from './barrier/keyring.ts'
import { type ConditionCompiler, hasConditions, judge } from './condition/condition.ts'
import {
  type Admitted,
  admit,
  type Engines,
  finished,
  type Plan,
  planOf,
  type SecretsRequest,
  writes,
} from './decide.ts'
import type { ActSpec, Answer, Call, Outcome, PathSpec, RuleSpec } from './declare.ts'
import type { Denials } from './denials.ts'
import { type Context, errorBody, type Rendered, render } from './envelope.ts'
import { readFields } from './field.ts'
import type { RegistryTokens } from './grant/grant.ts'
import type { SystemTtls } from './mount/ttl.ts'
import { canonicalNamespace, ROOT } from './namespace/namespace.ts'
import { isKnownOffline, isReadOn, isUnreachable, type Offline } from './offline.ts'
import { LEASES_EXCEEDED, refuseLeases } from './quota/leases.ts'
import { Limiter, type Verdict } from './quota/limiter.ts'
import { hasQuotas, type QuotaKind, type QuotaPlace } from './quota/quota.ts'
import { INVALID } from './refusals.ts'
import { type CorsRow, corsOf } from './settings.ts'
import { Draft } from './storage.ts'
import { endToken } from './token/end.ts'
import { principalOf } from './token/principal.ts'
import { tokenOfSecret } from './token/target.ts'
import { countUse } from './token/use.ts'
import { isToBeWrapped, wrapped } from './wrapping/answer.ts'
import { isWrapping } from './wrapping/wrap.ts'

/** Whether this server can open what the barrier keeps. */
export interface SealPort {
  /** Undefined while sealed. */
  barrier(): Barrier | undefined
}

export interface SecretsPorts {
  readonly store: Store
  readonly seal: SealPort
  readonly engines: Engines
  readonly clock: Clock
  readonly random: Random
  /** How long what this server gives may live, where no mount says; Vault's unless given. */
  readonly ttls?: SystemTtls
  /** Makes the audit record of a write for somebody. */
  readonly recordOf: (who: Who) => JournalEntry | undefined
  /** The paths that answer while sealed, below `sys/`. */
  readonly sealedPaths: readonly PathSpec[]
  /** Keeps why requests were refused. */
  readonly denials: Denials
  /** The language of conditions. */
  readonly conditions: ConditionCompiler
  /** How long reads go on while nobody can say whether this server's view is the newest. */
  readonly offline?: Offline | undefined
  /** Of the registry's tokens; undefined where it has none. */
  readonly registry?: Pick<RegistryTokens, 'keyOf'> | undefined
  /** Hears of each request that a quota has refused. */
  readonly exceeded?: (kind: QuotaKind) => void
  /** Where clients reach this server, as a URL. */
  readonly address?: string
}

/** Whoever asks, with what becomes known of the request on its way. */
export interface TrackedWho extends Who {
  readonly trail: Trail
}

/** Nobody whose requests are recorded. */
const nobody = (): TrackedWho => ({
  ...{ accessor: 'unknown', rights: '' },
  may: () => false,
  trail: {},
})

/** A refusal, or an answer that was rendered. */
export type Handled = Rendered | Refusal

export class Secrets {
  readonly #ports: SecretsPorts
  readonly #limiter = new Limiter()

  constructor(ports: SecretsPorts) {
    this.#ports = ports
  }

  /**
   * Answers a request: at once where it only reads what this server has. Throws and rejects as the
   * store does. `rated` is what `rate` gave, for who has asked.
   */
  handle(
    asked: SecretsRequest,
    caller: TrackedWho = nobody(),
    rated?: Partial<Verdict>,
  ): Eventually<Handled> {
    const request = this.#withRegistry(asked)
    const sealed = this.#whileSealed(request)
    if (sealed !== undefined) return sealed
    const barrier = this.#ports.seal.barrier()
    if (barrier === undefined) return SEALED
    const draft = this.#draftOn(this.#ports.store.view(), barrier)
    if (hasQuotas(draft)) {
      const verdict = rated ?? this.#rate(draft, request, request.data)
      return this.#rated(draft, request, caller, verdict)
    }
    return this.#noted(this.#decide(draft, request, caller), request, caller)
  }

  /**
   * Counts a request by its head, where rate limits can tell by that alone whether it may be. It is
   * not counted again where it is handled with what this gives. Undefined where they cannot, or do
   * not hold.
   */
  rate(asked: Omit<SecretsRequest, 'data'>): Partial<Verdict> | undefined {
    const head = this.#withRegistry(asked)
    const barrier = this.#ports.seal.barrier()
    if (barrier === undefined || this.#isAnsweredSealed(head)) return undefined
    const draft = this.#draftOn(this.#ports.store.view(), barrier)
    return hasQuotas(draft) ? this.#rate(draft, head, undefined) : undefined
  }

  /** The key of the row that a token would have in the registry; undefined for none of its own. */
  registryKeyOf(token: string): Bytes | undefined {
    const { registry } = this.#ports
    return token === '' || OWN_TOKEN.test(token) ? undefined : registry?.keyOf(token)
  }

  /** Most tokens say that they are no token of the registry: nothing is hashed for them. */
  #withRegistry<R extends Omit<SecretsRequest, 'data'>>(request: R): R {
    const registryKey = this.registryKeyOf(request.token)
    return registryKey === undefined ? request : { ...request, registryKey }
  }

  /** Answers what rate limits may hold for, as far as they let it pass. */
  #rated(
    draft: Draft,
    request: SecretsRequest,
    caller: TrackedWho,
    rated: Partial<Verdict> | undefined,
  ): Eventually<Handled> {
    const { refusal, headers } = rated ?? UNLIMITED
    if (refusal !== undefined) {
      this.#ports.exceeded?.('rate-limit')
      return told(refusal, headers)
    }
    const handled = this.#noted(this.#decide(draft, request, caller), request, caller)
    return headers === undefined ? handled : after(handled, known => told(known, headers))
  }

  /** Keeps why a request was refused, for who asks about it. */
  #noted(
    handled: Eventually<Handled>,
    request: SecretsRequest,
    caller: TrackedWho,
  ): Eventually<Handled> {
    if (handled instanceof Promise) return handled.then(known => this.#note(known, request, caller))
    return this.#note(handled, request, caller)
  }

  #note(handled: Handled, { facts }: SecretsRequest, { trail }: TrackedWho): Handled {
    if (handled instanceof Refusal && trail.denial !== undefined) {
      this.#ports.denials.note(facts.id, trail.denial)
    }
    return handled
  }

  /**
   * Counts a request where rate limits hold for it. Undefined where its data must be known for
   * that: of a login they may say its role.
   */
  #rate(
    draft: Draft,
    head: Omit<SecretsRequest, 'data'>,
    data: SecretsRequest['data'] | undefined,
  ): Partial<Verdict> | undefined {
    const { engines, clock } = this.#ports
    const plan = planOf(draft, engines, head)
    if (plan instanceof Refusal) return UNLIMITED
    if (data === undefined && plan.mount?.kind === 'auth') return undefined
    const { token, facts, registryKey } = head
    const client = {
      remote: facts.remote,
      who() {
        const who = principalOf(draft, token, facts.remote, registryKey)
        return who instanceof Refusal ? undefined : who
      },
    }
    const place = quotaPlaceOf(plan, { data: data ?? {} })
    const rated = { ...place, path: plan.path, wallMs: clock.wall() }
    const verdict = this.#limiter.take(draft, rated, client, clock.monotonic())
    return Object.keys(verdict.headers).length === 0 && verdict.refusal === undefined
      ? UNLIMITED
      : verdict
  }

  #decide(draft: Draft, request: SecretsRequest, caller: TrackedWho): Eventually<Handled> {
    const { store, offline } = this.#ports
    const { barrier } = draft
    caller.trail.barrier = barrier
    const by: By = { barrier, caller, isLastUse: false }
    if (!store.supports.shared || this.#isConfirmedByWriting(draft, request)) {
      return this.#lead(draft, request, by)
    }
    const onNewest = () => this.#lead(this.#draftOn(store.view(), barrier), request, by)
    // Only where the store is away it matters what the request would do.
    if (isKnownOffline(offline) && this.#onlyReads(draft, request)) return onNewest()
    return store.readIndex().then(onNewest, (error: unknown) => {
      const isHelpless = !isUnreachable(error) || !isReadOn(offline)
      if (isHelpless || !this.#onlyReads(draft, request)) throw error
      return onNewest()
    })
  }

  /** Whether a request writes nothing, and takes no use from its token. */
  #onlyReads(draft: Draft, request: SecretsRequest): boolean {
    const plan = planOf(draft, this.#ports.engines, request)
    if (plan instanceof Refusal || plan.spec === undefined || 'act' in plan.spec) return false
    return !writes(plan, request) && !countsUse(draft, plan, request)
  }

  /** Goes the way that a view leads to. */
  #lead(draft: Draft, request: SecretsRequest, by: By): Eventually<Handled> {
    const plan = planOf(draft, this.#ports.engines, request)
    if (plan instanceof Refusal) return plan
    by.caller.trail.plan = plan
    return countsUse(draft, plan, request)
      ? this.#countUse(request, by)
      : this.#follow(draft, plan, request, by)
  }

  #follow(draft: Draft, plan: Plan, request: SecretsRequest, by: By): Eventually<Handled> {
    return writes(plan, request)
      ? this.#write(draft, plan, request, by)
      : this.#onView(draft, plan, request, by)
  }

  /**
   * Whether a view that may be old leads to the right way of a request: to a transaction, in which
   * the store confirms all that is decided on. What may not be known yet leads elsewhere: a mount
   * (its path then writes nothing), a token (whose uses may be counted), what is prepared of.
   */
  #isConfirmedByWriting(draft: Draft, request: SecretsRequest): boolean {
    const { operation, token } = request
    if (operation === 'read' || operation === 'list' || token === '') return false
    const plan = planOf(draft, this.#ports.engines, request)
    if (plan instanceof Refusal || plan.spec === undefined || 'act' in plan.spec) return false
    if (plan.spec.prepare !== undefined || !writes(plan, request)) return false
    return tokenOfSecret(draft, token) !== undefined
  }

  /**
   * Takes a use away from a token that has a number of them, before the request has any effect, and
   * also where it is refused. Then goes on.
   */
  async #countUse(request: SecretsRequest, by: By): Promise<Handled> {
    const { token: secret } = request
    const written = await this.#ports.store.write<number>((view, now, random) => {
      const inside = new Draft(view, by.barrier, now, random, this.#ports.ttls)
      const again = tokenOfSecret(inside, secret)
      const left = again === undefined ? INVALID : countUse(inside, again.place, again.token)
      return left instanceof Refusal ? left : { txn: inside.ops(), answer: left }
    })
    if (isRefusal(written)) return written
    return this.#counted(request, { ...by, isLastUse: written.answer === 0 })
  }

  /** Decides a request whose token was counted: by what the store says after that. */
  async #counted(request: SecretsRequest, by: By): Promise<Handled> {
    const { store, engines } = this.#ports
    if (store.supports.shared) await store.readIndex()
    const draft = this.#draftOn(store.view(), by.barrier)
    const plan = planOf(draft, engines, request)
    const handled = plan instanceof Refusal ? plan : await this.#follow(draft, plan, request, by)
    if (by.isLastUse) await this.#finish(inside => endUsed(inside, request.token), by.barrier)
    return handled
  }

  /**
   * Whether a request may be made now, as far as this server's view tells. Nothing is done, counted
   * or recorded: for what goes on behind a request that was made. Gives what it leads to.
   */
  permits(asked: SecretsRequest): Plan | Refusal {
    const request = this.#withRegistry(asked)
    const barrier = this.#ports.seal.barrier()
    if (barrier === undefined) return SEALED
    const draft = this.#draftOn(this.#ports.store.view(), barrier)
    const plan = planOf(draft, this.#ports.engines, request)
    if (plan instanceof Refusal) return plan
    const admitted = this.#admit(draft, plan, request)
    return admitted instanceof Refusal ? admitted : plan
  }

  /** Which pages of other origins may ask; undefined for none, and while sealed. */
  cors(): CorsRow | undefined {
    const barrier = this.#ports.seal.barrier()
    return barrier && corsOf(this.#draftOn(this.#ports.store.view(), barrier))
  }

  #draftOn(view: Reader, barrier: Barrier, now: WallMs = wallMs(this.#ports.clock.wall())): Draft {
    const { random, ttls, store } = this.#ports
    return new Draft(view, barrier, now, random, ttls, store.cold)
  }

  /** The answer of a path that needs no rows; undefined for all others. */
  #whileSealed(request: SecretsRequest): Eventually<Handled> | undefined {
    const found = this.#foundSealed(request)
    if (found === undefined) return undefined
    const { matched, spec } = found
    const read = readFields(matched.spec.fields, request.data, matched.parts)
    if (read instanceof Refusal) return read
    const { operation, path, data, facts } = request
    const call = {
      ...{ operation, path, data, fields: read.values, request: facts },
      given: (name: string) => Object.hasOwn(data, name),
      who: undefined,
      namespace: ROOT,
    }
    const context = { ...this.#contextOf(request), mountType: '' }
    return after(spec.act(call), outcome =>
      outcome instanceof Refusal ? outcome : render(outcome, context),
    )
  }

  #isAnsweredSealed(head: Omit<SecretsRequest, 'data'>): boolean {
    return this.#foundSealed(head) !== undefined
  }

  /** The path that needs no rows, of a request to one. */
  #foundSealed({ path, operation, namespace }: Omit<SecretsRequest, 'data'>) {
    const { engines, sealedPaths } = this.#ports
    if (!path.startsWith(SYS)) return undefined
    const matched = engines.matcherOf(sealedPaths).find(path.slice(SYS.length))
    const spec = matched?.spec.operations[operation as never] as ActSpec | undefined
    if (matched === undefined || spec === undefined) return undefined
    // In a namespace it is unavailable, in the words that everything else is.
    const isElsewhere = matched.spec.isRootOnly === true && canonicalNamespace(namespace) !== ''
    return isElsewhere ? undefined : { matched, spec }
  }

  /** Asks whether a request may be, and whether the conditions on its path hold. */
  #admit(draft: Draft, plan: Plan, request: SecretsRequest, trail: Trail = {}): Admitted | Refusal {
    const admitted = admit(draft, plan, request, trail)
    if (admitted instanceof Refusal) return admitted
    if (!hasConditions(draft, plan.namespace)) return admitted
    const { call, path, granted, warnings } = admitted
    const { operation, data, facts } = request
    const asked = { who: call.who, operation, path, data, remote: facts.remote, id: facts.id }
    const isAsked = facts.headers['x-vault-policy-override'] === 'true'
    const { refusal, advised } = judge(
      draft,
      plan.namespace,
      { ...asked, nowMs: draft.now },
      { compiler: this.#ports.conditions, overrides: isAsked && granted?.decision.sudo === true },
    )
    if (refusal !== undefined) return refusal
    if (advised.length === 0) return admitted
    const told = advised.map(name => `condition "${name}" does not hold`)
    return { ...admitted, warnings: [...warnings, ...told] }
  }

  /** Decides a read on a view, and what acts on this server alone. */
  #onView(draft: Draft, plan: Plan, request: SecretsRequest, by: By): Eventually<Handled> {
    const admitted = this.#admit(draft, plan, request, by.caller.trail)
    if (admitted instanceof Refusal) return admitted
    const { spec, call } = admitted
    const ask: Ask = { admitted, plan, request, by }
    if ('act' in spec) return after(spec.act(call), outcome => this.#answer(ask, outcome))
    if (spec.prepare === undefined) return this.#run(ask, undefined)
    return after(spec.prepare(call), prepared => {
      if (prepared instanceof Refusal) return prepared
      const isPut = spec.puts?.(prepared as never) === true
      return isPut ? this.#transact(request, by, prepared) : this.#run(ask, prepared)
    })
  }

  /** Runs a rule that reads. */
  #run(ask: Ask, prepared: unknown): Eventually<Handled> {
    const { call, spec } = ask.admitted
    const outcome = (spec as RuleSpec).run(withPrepared(call, prepared))
    // What reads as a rule has to write this time.
    if (!call.draft.isEmpty) return this.#transact(ask.request, ask.by, prepared)
    return this.#answer(ask, outcome)
  }

  #answer({ admitted, plan, request, by }: Ask, outcome: Outcome): Eventually<Handled> {
    if (outcome instanceof Refusal) return outcome
    const answer = finished(admitted, outcome)
    const context = this.#contextOf(request, plan)
    const { trail } = by.caller
    trail.answer = answer
    const origin = { request, plan, context, address: this.#address }
    if (!isToBeWrapped(answer, origin)) return render(answer, context)
    const written = this.#ports.store.write<Answer>((view, now, random) => {
      const inside = new Draft(view, by.barrier, now, random, this.#ports.ttls)
      const kept = wrapped(inside, answer, origin)
      trail.answer = kept
      return { txn: inside.ops(), answer: kept }
    }, this.#ports.recordOf(by.caller))
    return written.then(kept => (isRefusal(kept) ? kept : render(kept.answer, context)))
  }

  #write(draft: Draft, plan: Plan, request: SecretsRequest, by: By): Eventually<Handled> {
    const { spec } = plan
    if (spec === undefined || 'act' in spec || spec.prepare === undefined) {
      return this.#transact(request, by, undefined)
    }
    // Work before the transaction, for who may.
    const admitted = this.#admit(draft, plan, request)
    if (admitted instanceof Refusal) return admitted
    return after(spec.prepare(admitted.call), prepared =>
      prepared instanceof Refusal ? prepared : this.#transact(request, by, prepared),
    )
  }

  /** Decides a request in a transaction. */
  async #transact(request: SecretsRequest, by: By, prepared: unknown): Promise<Handled> {
    const { barrier, caller, isLastUse } = by
    const { store, engines, recordOf } = this.#ports
    const written = await store.write<Done>((view, now, random) => {
      const inside = new Draft(view, barrier, now, random, this.#ports.ttls)
      const again = planOf(inside, engines, request)
      if (again instanceof Refusal) return again
      const admitted = this.#admit(inside, again, request, caller.trail)
      if (admitted instanceof Refusal) return admitted
      const told = runRule(admitted, prepared)
      if (told instanceof Refusal) return told
      if (isLastUse && (told.lease?.id ?? '') !== '') return LEASED_BY_LAST_USE
      const context = this.#contextOf(request, again)
      const origin = { request, plan: again, context, address: this.#address }
      const answer = isToBeWrapped(told, origin) ? wrapped(inside, told, origin) : told
      caller.trail.answer = answer
      const rendered = render(answer, context)
      const { rest, onward } = answer
      return { txn: inside.ops(), answer: { rendered, rest, onward } }
    }, recordOf(caller))
    if (written === LEASES_EXCEEDED) this.#ports.exceeded?.('lease-count')
    if (isRefusal(written)) return written
    const { rendered, rest, onward } = written.answer
    if (rest !== undefined) await this.#finish(rest, barrier)
    return onward === undefined ? rendered : this.#goOnward({ ...request, ...onward }, by)
  }

  /** Makes the request that another one led to, for who made that one. */
  async #goOnward(request: SecretsRequest, by: By): Promise<Handled> {
    const { store, engines } = this.#ports
    if (store.supports.shared) await store.readIndex()
    const draft = this.#draftOn(store.view(), by.barrier)
    const plan = planOf(draft, engines, request)
    return plan instanceof Refusal ? plan : this.#follow(draft, plan, request, by)
  }

  /** Does what a transaction began and had no room for. */
  async #finish(rest: NonNullable<Answer['rest']>, barrier: Barrier): Promise<void> {
    for (let isWhole = false; !isWhole; ) {
      const step = await this.#ports.store.write<boolean>((view, now, random) => {
        const draft = new Draft(view, barrier, now, random, this.#ports.ttls)
        const answer = rest(draft)
        return { txn: draft.ops(), answer }
      })
      isWhole = isRefusal(step) || step.answer
    }
  }

  get #address(): string {
    return this.#ports.address ?? ''
  }

  #contextOf({ operation, facts, path }: SecretsRequest, plan?: Plan): Context {
    return {
      requestId: facts.id,
      isRead: operation === 'read' || operation === 'list' || operation === 'scan',
      mountType: plan?.mount?.type ?? '',
      copiesData: plan?.mount?.type === 'system' && COPYING.test(path),
    }
  }
}

/** For whom, and with what, a request is decided. */
interface By {
  readonly barrier: Barrier
  readonly caller: TrackedWho
  /** Whether the token that asks ends with this request. */
  readonly isLastUse: boolean
}

/** A request that may be, on its way to its answer. */
interface Ask {
  readonly admitted: Admitted
  readonly plan: Plan
  readonly request: SecretsRequest
  readonly by: By
}

/** Whether a use is to be taken away from the token that asks. */
function countsUse(draft: Draft, plan: Plan, { token: secret }: SecretsRequest): boolean {
  const spec = plan.matched?.spec
  const isCounted = spec?.countsUses === true
  if (secret === '' || (spec?.access === 'open' && !isCounted)) return false
  const token = tokenOfSecret(draft, secret)?.token
  if (token === undefined || token.numUses === 0) return false
  return !isCounted || !isWrapping(token)
}

/** The call is this request's own: it is not made again for what was prepared. */
function withPrepared(call: Call, prepared: unknown): Call {
  if (prepared !== undefined) (call as { prepared: unknown }).prepared = prepared
  return call
}

const LEASED_BY_LAST_USE = new Refusal(
  400,
  'Secret cannot be returned; token had one use left, so leased credentials were immediately revoked.',
)

/** A step of the end of a token that was used for the last time. */
function endUsed(draft: Draft, secret: string): boolean {
  const found = tokenOfSecret(draft, secret)
  return found === undefined || endToken(draft, found.place)
}

/** What a transaction came to. */
interface Done {
  readonly rendered: Rendered
  readonly rest: Answer['rest']
  readonly onward: Answer['onward']
}

function runRule(admitted: Admitted, prepared: unknown): Answer | Refusal {
  const { call, spec } = admitted
  if ('act' in spec) return new Refusal(500, 'internal error')
  const outcome = spec.run(withPrepared(call, prepared))
  if (outcome instanceof Refusal) return outcome
  const tooMany = refuseLeases(call.draft, placeOfCall(call), outcome, call.who)
  return tooMany ?? finished(admitted, outcome)
}

const UNLIMITED: Partial<Verdict> = {}

/** An answer, or a refusal, with headers of its own. */
export const told = (handled: Handled, headers: Verdict['headers'] = {}): Rendered =>
  handled instanceof Refusal
    ? {
        status: handled.status,
        body: errorBody(handled.text === '' ? [] : [handled.text]),
        type: 'application/json',
        headers,
      }
    : { ...handled, headers: { ...handled.headers, ...headers } }

/** What quotas ask of a call. */
const placeOfCall = ({ mount, namespace, path: below, data }: Call): QuotaPlace =>
  quotaPlaceOf({ mount, namespace, below }, { data })

/** What quotas ask of a request. */
function quotaPlaceOf(
  { mount, namespace, below }: Pick<Plan, 'mount' | 'namespace' | 'below'>,
  { data }: Pick<SecretsRequest, 'data'>,
): QuotaPlace {
  const isLogin = mount?.kind === 'auth'
  const mountPath = mount === undefined ? '' : isLogin ? `auth/${mount.path}` : mount.path
  const role = isLogin && typeof data.role === 'string' ? data.role : ''
  return { namespace, mountPath, below, role }
}

const SYS = 'sys/'
/** What tokens of the secrets begin with, unless somebody chose them. */
const OWN_TOKEN = /^hv[sb]\./
const SEALED = new Refusal(503, 'Vault is sealed')

/** Paths of sys whose data stands beside the envelope too. */
const COPYING = new RegExp(
  '(^|/)sys/(audit(-hash)?|auth|config/(cors|auditing/request-headers)|capabilities(-self|-accessor)?' +
    '|ha-status|key-status|mounts|policy|rekey/(recovery-key-)?backup|rotate/(root|recovery)/backup' +
    '|remount|rotate(/keyring)?|wrapping/wrap)(/|$)',
)
