/**
 * Which answers are wrapped, and what is told instead.
 *
 * Owns the way from a finished answer to its wrapping. Pure.
 */
import { Refusal } from '../../base/errors.ts'
import type { Plan, SecretsRequest } from '../decide.ts'
import type { Answer } from '../declare.ts'
import { type Context, render } from '../envelope.ts'
import type { Draft } from '../storage.ts'
import { wrap } from './wrap.ts'

/** Where an answer comes from. */
export interface Origin {
  readonly request: SecretsRequest
  readonly plan: Plan
  readonly context: Context
}

/** The refusal of a form of wrapping that is not served. */
export const refuseWrapping = ({ facts }: SecretsRequest): Refusal | undefined =>
  facts.wrapTtlMs !== undefined && facts.headers['x-vault-wrap-format'] === 'jwt'
    ? new Refusal(501, 'not served yet: wrapping tokens as JWT')
    : undefined

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
  { context, plan, ...origin }: Origin,
): Answer {
  // The copies beside the envelope are made on the way out: they are no part of what is kept.
  const { body, type } = render(answer, { ...context, copiesData: false })
  const { warnings = [], headers } = answer
  return {
    wrapped: wrap(draft, {
      path: plan.path,
      namespaceId: plan.namespace.id,
      ttlMs: ttlMsOf(answer, origin),
      body: { body, type },
      accessor: answer.wrappedAccessor ?? answer.auth?.accessor ?? '',
    }),
    warnings,
    ...(headers === undefined ? {} : { headers }),
    ...(answer.rest === undefined ? {} : { rest: answer.rest }),
  }
}
