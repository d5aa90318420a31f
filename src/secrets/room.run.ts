/**
 * The secrets as a face sees them: one function that takes a request and gives its answer.
 *
 * Owns joining the pure way of a request (decide.ts) with the store, the seal and the clock: reads
 * are decided on a confirmed view, writes inside their transaction, what takes time before it.
 */
import { type WallMs, wallMs } from '../base/brand.ts'
import type { Clock, Random } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import type { Who } from '../base/who.ts'
import type { JournalEntry } from '../store/journal.ts'
import { isRefusal, type Store } from '../store/store.ts'
import type { Reader } from '../store/view.ts'
import type { Trail } from './audit.ts'
import type { Barrier } from './barrier/keyring.ts'
import { type ConditionCompiler, judge } from './condition/condition.ts'
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
import type { ActSpec, Answer, Call, Outcome, PathSpec } from './declare.ts'
import type { Denials } from './denials.ts'
import { type Context, errorBody, type Rendered, render } from './envelope.ts'
import { readFields } from './field.ts'
import type { SystemTtls } from './mount/ttl.ts'
import { canonicalNamespace, ROOT } from './namespace/namespace.ts'
import { refuseLeases } from './quota/leases.ts'
import { Limiter, type Verdict } from './quota/limiter.ts'
import { hasQuotas, type QuotaPlace } from './quota/quota.ts'
import { INVALID } from './refusals.ts'
import { type CorsRow, corsOf } from './settings.ts'
import { Draft } from './storage.ts'
import { endToken } from './token/end.ts'
import { principalOf } from './token/principal.ts'
import { tokenOfSecret } from './token/target.ts'
import { countUse } from './token/use.ts'
import { isToBeWrapped, refuseWrapping, wrapped } from './wrapping/answer.ts'
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

  /** Answers a request. Rejects as the store does. */
  async handle(request: SecretsRequest, caller: TrackedWho = nobody()): Promise<Handled> {
    const sealed = this.#whileSealed(request)
    if (sealed !== undefined) return sealed
    const barrier = this.#ports.seal.barrier()
    if (barrier === undefined) return SEALED
    const rated = this.#rate(request, barrier)
    if (rated.refusal !== undefined) return told(rated.refusal, rated.headers)
    const handled = await this.#decide(request, barrier, caller)
    const { denial } = caller.trail
    if (handled instanceof Refusal && denial !== undefined) {
      this.#ports.denials.note(request.facts.id, denial)
    }
    return rated.headers === undefined ? handled : told(handled, rated.headers)
  }

  /** Counts a request where rate limits hold for it. */
  #rate(request: SecretsRequest, barrier: Barrier): Partial<Verdict> {
    const { store, engines, clock } = this.#ports
    const draft = this.#draftOn(store.view(), barrier)
    if (!hasQuotas(draft)) return UNLIMITED
    const plan = planOf(draft, engines, request)
    if (plan instanceof Refusal) return UNLIMITED
    const client = {
      remote: request.facts.remote,
      who() {
        const who = principalOf(draft, request.token, request.facts.remote)
        return who instanceof Refusal ? undefined : who
      },
    }
    const rated = { ...quotaPlaceOf(plan, request), path: plan.path, wallMs: clock.wall() }
    const verdict = this.#limiter.take(draft, rated, client, clock.monotonic())
    return Object.keys(verdict.headers).length === 0 && verdict.refusal === undefined
      ? UNLIMITED
      : verdict
  }

  async #decide(request: SecretsRequest, barrier: Barrier, caller: TrackedWho): Promise<Handled> {
    const { store, engines } = this.#ports
    caller.trail.barrier = barrier
    const refused = refuseWrapping(request)
    if (refused !== undefined) return refused
    const by: By = { barrier, caller, isLastUse: false }
    if (store.supports.shared && !this.#isConfirmedByWriting(request, barrier)) {
      await store.readIndex()
    }
    const draft = this.#draftOn(store.view(), barrier)
    const plan = planOf(draft, engines, request)
    if (plan instanceof Refusal) return plan
    caller.trail.plan = plan
    const left = await this.#countUse(draft, plan, request, barrier)
    if (left instanceof Refusal) return left
    if (left !== undefined) return this.#counted(request, { ...by, isLastUse: left === 0 })
    return writes(plan, request)
      ? this.#write(draft, plan, request, by)
      : this.#onView(draft, plan, request, by)
  }

  /**
   * Whether a view that may be old leads to the right way of a request: to a transaction, in which
   * the store confirms all that is decided on. What may not be known yet leads elsewhere: a mount
   * (its path then writes nothing), a token (whose uses may be counted), what is prepared of.
   */
  #isConfirmedByWriting(request: SecretsRequest, barrier: Barrier): boolean {
    const { operation, token } = request
    if (operation === 'read' || operation === 'list' || token === '') return false
    const draft = this.#draftOn(this.#ports.store.view(), barrier)
    const plan = planOf(draft, this.#ports.engines, request)
    if (plan instanceof Refusal || plan.spec === undefined || 'act' in plan.spec) return false
    if (plan.spec.prepare !== undefined || !writes(plan, request)) return false
    return tokenOfSecret(draft, token) !== undefined
  }

  /** Decides a request whose token was counted: by what the store says after that. */
  async #counted(request: SecretsRequest, by: By): Promise<Handled> {
    const { store, engines } = this.#ports
    if (store.supports.shared) await store.readIndex()
    const draft = this.#draftOn(store.view(), by.barrier)
    const plan = planOf(draft, engines, request)
    const handled =
      plan instanceof Refusal
        ? plan
        : writes(plan, request)
          ? await this.#write(draft, plan, request, by)
          : await this.#onView(draft, plan, request, by)
    if (by.isLastUse) await this.#finish(inside => endUsed(inside, request.token), by.barrier)
    return handled
  }

  /**
   * Takes a use away from a token that has a number of them, before the request has any effect, and
   * also where it is refused. Gives what is left; undefined where there is no bound.
   */
  async #countUse(
    draft: Draft,
    plan: Plan,
    { token: secret }: SecretsRequest,
    barrier: Barrier,
  ): Promise<number | undefined | Refusal> {
    const { access, countsUses = false } = plan.matched?.spec ?? {}
    if (secret === '' || (access === 'open' && !countsUses)) return undefined
    const found = tokenOfSecret(draft, secret)
    if (found === undefined || found.token.numUses === 0) return undefined
    if (countsUses && isWrapping(found.token)) return undefined
    const written = await this.#ports.store.write<number>((view, now, random) => {
      const inside = new Draft(view, barrier, now, random, this.#ports.ttls)
      const again = tokenOfSecret(inside, secret)
      const left = again === undefined ? INVALID : countUse(inside, again.place, again.token)
      return left instanceof Refusal ? left : { txn: inside.ops(), answer: left }
    })
    return isRefusal(written) ? written : written.answer
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
  #whileSealed(request: SecretsRequest): Promise<Handled> | undefined {
    const { engines, sealedPaths } = this.#ports
    if (!request.path.startsWith(SYS)) return undefined
    const matched = engines.matcherOf(sealedPaths).find(request.path.slice(SYS.length))
    const spec = matched?.spec.operations[request.operation as never] as ActSpec | undefined
    if (matched === undefined || spec === undefined) return undefined
    // In a namespace it is unavailable, in the words that everything else is.
    if (matched.spec.isRootOnly === true && canonicalNamespace(request.namespace) !== '') {
      return undefined
    }
    const read = readFields(matched.spec.fields, request.data, matched.parts)
    if (read instanceof Refusal) return Promise.resolve(read)
    const { operation, path, data, facts } = request
    const call = {
      ...{ operation, path, data, fields: read.values, request: facts },
      given: (name: string) => Object.hasOwn(data, name),
      who: undefined,
      namespace: ROOT,
    }
    const context = { ...this.#contextOf(request), mountType: '' }
    return Promise.resolve(spec.act(call)).then(outcome =>
      outcome instanceof Refusal ? outcome : render(outcome, context),
    )
  }

  /** Asks whether a request may be, and whether the conditions on its path hold. */
  #admit(draft: Draft, plan: Plan, request: SecretsRequest, trail: Trail = {}): Admitted | Refusal {
    const admitted = admit(draft, plan, request, trail)
    if (admitted instanceof Refusal) return admitted
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
  async #onView(draft: Draft, plan: Plan, request: SecretsRequest, by: By): Promise<Handled> {
    const { barrier, caller } = by
    const { trail } = caller
    const admitted = this.#admit(draft, plan, request, trail)
    if (admitted instanceof Refusal) return admitted
    const { spec, call } = admitted
    let outcome: Outcome
    if ('act' in spec) outcome = await spec.act(call)
    else {
      const begun = spec.prepare?.(call)
      const prepared = begun instanceof Promise ? await begun : begun
      if (prepared instanceof Refusal) return prepared
      outcome = spec.run(prepared === undefined ? call : { ...call, prepared: prepared as never })
      // What reads as a rule has to write this time.
      if (!draft.isEmpty) return this.#transact(request, by, prepared)
    }
    if (outcome instanceof Refusal) return outcome
    const answer = finished(admitted, outcome)
    const origin = { request, plan, context: this.#contextOf(request, plan) }
    trail.answer = answer
    if (!isToBeWrapped(answer, origin)) return render(answer, origin.context)
    const written = await this.#ports.store.write<Answer>((view, now, random) => {
      const inside = new Draft(view, barrier, now, random, this.#ports.ttls)
      const kept = wrapped(inside, answer, origin)
      trail.answer = kept
      return { txn: inside.ops(), answer: kept }
    }, this.#ports.recordOf(caller))
    return isRefusal(written) ? written : render(written.answer, origin.context)
  }

  async #write(draft: Draft, plan: Plan, request: SecretsRequest, by: By): Promise<Handled> {
    const prepared = await this.#prepare(draft, plan, request)
    return prepared instanceof Refusal ? prepared : this.#transact(request, by, prepared)
  }

  /** Decides a request in a transaction. */
  async #transact(
    request: SecretsRequest,
    { barrier, caller, isLastUse }: By,
    prepared: unknown,
  ): Promise<Handled> {
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
      const origin = { request, plan: again, context: this.#contextOf(request, again) }
      const answer = isToBeWrapped(told, origin) ? wrapped(inside, told, origin) : told
      caller.trail.answer = answer
      const rendered = render(answer, origin.context)
      return { txn: inside.ops(), answer: { rendered, rest: answer.rest } }
    }, recordOf(caller))
    if (isRefusal(written)) return written
    await this.#finish(written.answer.rest, barrier)
    return written.answer.rendered
  }

  /** Does what a transaction began and had no room for. */
  async #finish(rest: Answer['rest'], barrier: Barrier): Promise<void> {
    if (rest === undefined) return
    for (let isWhole = false; !isWhole; ) {
      const step = await this.#ports.store.write<boolean>((view, now, random) => {
        const draft = new Draft(view, barrier, now, random, this.#ports.ttls)
        const answer = rest(draft)
        return { txn: draft.ops(), answer }
      })
      isWhole = isRefusal(step) || step.answer
    }
  }

  /** Work before the transaction, for who may. */
  async #prepare(draft: Draft, plan: Plan, request: SecretsRequest): Promise<unknown> {
    if (plan.spec === undefined || 'act' in plan.spec || plan.spec.prepare === undefined) {
      return undefined
    }
    const admitted = this.#admit(draft, plan, request)
    return admitted instanceof Refusal ? admitted : plan.spec.prepare(admitted.call)
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
}

function runRule(admitted: Admitted, prepared: unknown): Answer | Refusal {
  const { call, spec } = admitted
  if ('act' in spec) return new Refusal(500, 'internal error')
  const given = prepared === undefined ? call : { ...call, prepared: prepared as never }
  const outcome = spec.run(given)
  if (outcome instanceof Refusal) return outcome
  const tooMany = refuseLeases(call.draft, placeOfCall(call), outcome)
  return tooMany ?? finished(admitted, outcome)
}

const UNLIMITED: Partial<Verdict> = {}

/** An answer, or a refusal, with headers of its own. */
const told = (handled: Handled, headers: Verdict['headers'] = {}): Rendered =>
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
const SEALED = new Refusal(503, 'Vault is sealed')

/** Paths of sys whose data stands beside the envelope too. */
const COPYING = new RegExp(
  '(^|/)sys/(audit(-hash)?|auth|config/(cors|auditing/request-headers)|capabilities(-self|-accessor)?' +
    '|ha-status|key-status|mounts|policy|rekey/(recovery-key-)?backup|rotate/(root|recovery)/backup' +
    '|remount|rotate(/keyring)?|wrapping/wrap)(/|$)',
)
