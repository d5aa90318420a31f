/**
 * Which answers are wrapped, and what is told instead.
 *
 * Owns the way from a finished answer to its wrapping. Pure.
 */
import type { Plan, SecretsRequest } from '../decide.ts'
import type { Answer } from '../declare.ts'
import { type Context, render, type Wrapped } from '../envelope.ts'
import type { Draft } from '../storage.ts'
import { signWrapping } from './jwt.ts'
import { wrap } from './wrap.ts'

/** Where an answer comes from. */
export interface Origin {
  readonly request: SecretsRequest
  readonly plan: Plan
  readonly context: Context
  /** Where clients reach this server, as a URL; '' where nobody knows. */
  readonly address: string
}

/**
 * Whether the token of a wrapping is told as a JWT. That of what somebody sent to be wrapped never
 * is: a signature stands for what this cluster itself has answered.
 */
const isJwt = ({ request: { facts }, plan }: Pick<Origin, 'request' | 'plan'>): boolean =>
  facts.wrapTtlMs !== undefined &&
  facts.headers['x-vault-wrap-format'] === 'jwt' &&
  !(plan.mount?.type === 'system' && plan.below === 'wrapping/wrap')

/** How long an answer is to be wrapped for: as its asker wants and its engine, if either does. */
function ttlMsOf(
  { wrapTtlMs: byEngine }: Answer,
  { request: { facts } }: Pick<Origin, 'request'>,
): number {
  const wanted = [byEngine, facts.wrapTtlMs].filter(one => one !== undefined && one > 0)
  return wanted.length === 0 ? 0 : Math.min(...(wanted as number[]))
}

const FIRST_ERROR = 400

/** Whether an answer is wrapped. Errors are not, nor is saying nothing. */
export function isToBeWrapped(answer: Answer, origin: Origin): boolean {
  if (answer.wrapped !== undefined || ttlMsOf(answer, origin) === 0) return false
  if ((answer.status ?? 0) >= FIRST_ERROR || answer.errors !== undefined) return false
  const { data, dataText, auth, lease, raw, bare } = answer
  return [data, dataText, auth, lease, raw, bare].some(part => part !== undefined)
}

/** Keeps an answer for one reader; gives what is told instead. */
export function wrapped(
  draft: Draft,
  answer: Answer,
  { context, plan, address, request }: Origin,
): Answer {
  // The copies beside the envelope are made on the way out: they are no part of what is kept.
  const { body, type } = render(answer, { ...context, copiesData: false })
  const { warnings = [], headers } = answer
  const ttlMs = ttlMsOf(answer, { request })
  const kept = wrap(draft, {
    path: plan.path,
    namespaceId: plan.namespace.id,
    ttlMs,
    body: { body, type },
    accessor: answer.wrappedAccessor ?? answer.auth?.accessor ?? '',
  })
  const told = isJwt({ request, plan }) ? asJwt(draft, { answer, kept, ttlMs, address }) : {}
  return {
    wrapped: kept,
    ...told,
    warnings: [
      ...warnings,
      ...(told.wrappedAs !== undefined && address === '' ? [NO_ADDRESS] : []),
    ],
    ...(headers === undefined ? {} : { headers }),
    ...(answer.rest === undefined ? {} : { rest: answer.rest }),
  }
}

const NO_ADDRESS =
  'the token says no address to unwrap it at: set `secrets.api_addr` for one to be in it'

/** A wrapping, and what goes into the JWT that is told of it. */
interface ToSign {
  readonly answer: Answer
  readonly kept: Wrapped
  readonly ttlMs: number
  readonly address: string
}

function asJwt(draft: Draft, { answer, kept, ttlMs, address }: ToSign): Pick<Answer, 'wrappedAs'> {
  const accessor = answer.auth?.accessor ?? ''
  return { wrappedAs: signWrapping(draft, { token: kept.token, accessor, address, ttlMs }) }
}
