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
import type { ActSpec, Answer, PathSpec } from './declare.ts'
import type { Denials } from './denials.ts'
import { type Context, type Rendered, render } from './envelope.ts'
import { readFields } from './field.ts'
import { canonicalNamespace, ROOT } from './namespace/namespace.ts'
import { type CorsRow, corsOf } from './settings.ts'
import { Draft } from './storage.ts'

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
  /** Makes the audit record of a write for somebody. */
  readonly recordOf: (who: Who) => JournalEntry | undefined
  /** The paths that answer while sealed, below `sys/`. */
  readonly sealedPaths: readonly PathSpec[]
  /** Keeps why requests were refused. */
  readonly denials: Denials
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

  constructor(ports: SecretsPorts) {
    this.#ports = ports
  }

  /** Answers a request. Rejects as the store does. */
  async handle(request: SecretsRequest, caller: TrackedWho = nobody()): Promise<Handled> {
    const sealed = this.#whileSealed(request)
    if (sealed !== undefined) return sealed
    const barrier = this.#ports.seal.barrier()
    if (barrier === undefined) return SEALED
    const handled = await this.#decide(request, barrier, caller)
    const { denial } = caller.trail
    if (handled instanceof Refusal && denial !== undefined) {
      this.#ports.denials.note(request.facts.id, denial)
    }
    return handled
  }

  async #decide(request: SecretsRequest, barrier: Barrier, caller: TrackedWho): Promise<Handled> {
    const { store, engines } = this.#ports
    const planned = this.#draftOn(store.view(), barrier)
    const plan = planOf(planned, engines, request)
    caller.trail.barrier = barrier
    if (!(plan instanceof Refusal)) {
      caller.trail.plan = plan
      // What it is decided on is confirmed by the store as it is written.
      if (writes(plan, request)) return this.#write(planned, plan, request, barrier, caller)
    }
    if (!store.supports.shared) {
      return plan instanceof Refusal ? plan : this.#onView(planned, plan, request, caller)
    }
    await store.readIndex()
    const draft = this.#draftOn(store.view(), barrier)
    const confirmed = planOf(draft, engines, request)
    if (confirmed instanceof Refusal) return confirmed
    caller.trail.plan = confirmed
    return this.#onView(draft, confirmed, request, caller)
  }

  /** Which pages of other origins may ask; undefined for none, and while sealed. */
  cors(): CorsRow | undefined {
    const barrier = this.#ports.seal.barrier()
    return barrier && corsOf(this.#draftOn(this.#ports.store.view(), barrier))
  }

  #draftOn(view: Reader, barrier: Barrier, now: WallMs = wallMs(this.#ports.clock.wall())): Draft {
    return new Draft(view, barrier, now, this.#ports.random)
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

  /** Decides a read on a view, and what acts on this server alone. */
  async #onView(
    draft: Draft,
    plan: Plan,
    request: SecretsRequest,
    { trail }: TrackedWho,
  ): Promise<Handled> {
    const admitted = admit(draft, plan, request, trail)
    if (admitted instanceof Refusal) return admitted
    const { spec, call } = admitted
    const outcome = 'act' in spec ? await spec.act(call) : spec.run(call)
    if (outcome instanceof Refusal) return outcome
    trail.answer = outcome
    return render(finished(admitted, outcome), this.#contextOf(request, plan))
  }

  async #write(
    draft: Draft,
    plan: Plan,
    request: SecretsRequest,
    barrier: Barrier,
    caller: TrackedWho,
  ): Promise<Handled> {
    const { store, engines, recordOf } = this.#ports
    const prepared = await this.#prepare(draft, plan, request)
    if (prepared instanceof Refusal) return prepared
    const written = await store.write<Done>((view, now, random) => {
      const inside = new Draft(view, barrier, now, random)
      const again = planOf(inside, engines, request)
      if (again instanceof Refusal) return again
      const admitted = admit(inside, again, request, caller.trail)
      if (admitted instanceof Refusal) return admitted
      const answer = runRule(admitted, prepared)
      if (answer instanceof Refusal) return answer
      caller.trail.answer = answer
      const rendered = render(answer, this.#contextOf(request, again))
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
        const draft = new Draft(view, barrier, now, random)
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
    const admitted = admit(draft, plan, request)
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

/** What a transaction came to. */
interface Done {
  readonly rendered: Rendered
  readonly rest: Answer['rest']
}

function runRule(admitted: Admitted, prepared: unknown): Answer | Refusal {
  const { call, spec } = admitted
  if ('act' in spec) return new Refusal(500, 'internal error')
  const outcome = spec.run({ ...call, prepared: prepared as undefined })
  return outcome instanceof Refusal ? outcome : finished(admitted, outcome)
}

const SYS = 'sys/'
export const SEALED = new Refusal(503, 'Vault is sealed')

/** Paths of sys whose data stands beside the envelope too. */
const COPYING = new RegExp(
  '(^|/)sys/(audit(-hash)?|auth|config/(cors|auditing/request-headers)|capabilities(-self|-accessor)?' +
    '|ha-status|key-status|mounts|policy|rekey/(recovery-key-)?backup|rotate/(root|recovery)/backup' +
    '|remount|rotate(/keyring)?|wrapping/wrap)(/|$)',
)
