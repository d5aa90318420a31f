/**
 * The `token_*` fields of every login role: how the tokens of its logins are to be.
 *
 * Owns their names, the older names that are still taken, what is wrong about values, and how they
 * are shown. Pure.
 */

import { Refusal } from '../../base/errors.ts'
import { parseNetwork } from '../../base/networks.ts'
import type { Call } from '../declare.ts'
import { bool, dur, type Fields, int, list, str, toSeconds } from '../field.ts'
import * as shape from '../shape.ts'
import { cleanPolicies } from './policies.ts'

const OLD = { isDeprecated: true }

/** To spread into the fields of a login role. */
export const tokenFields = {
  token_ttl: dur("How long the role's tokens live; 0 for the mount's or the system's default."),
  token_max_ttl: dur("How long the role's tokens may be renewed for, from when they were issued."),
  token_explicit_max_ttl: dur("When the role's tokens end for good, periodic ones too."),
  token_period: dur('Makes periodic tokens: each renewal gives so long, without an end.'),
  token_policies: list("Policies of the role's tokens."),
  token_bound_cidrs: list("Addresses that the role's tokens may be used from, and logged in from."),
  token_no_default_policy: bool('Leaves the policy `default` out.'),
  token_num_uses: int("How often the role's tokens may be used; 0 for no bound."),
  token_type: str('`service`, `batch`, `default`, `default-service` or `default-batch`.'),
  token_strictly_bind_ip: bool('Binds each token to the address that it was issued to.'),
  policies: list('Older name of `token_policies`.', OLD),
  ttl: dur('Older name of `token_ttl`.', OLD),
  max_ttl: dur('Older name of `token_max_ttl`.', OLD),
  period: dur('Older name of `token_period`.', OLD),
  bound_cidrs: list('Older name of `token_bound_cidrs`.', OLD),
  num_uses: int('Older name of `token_num_uses`.', OLD),
} satisfies Fields

/** What a login role may say of the type of its tokens. */
export type TokenType = 'default' | 'service' | 'batch' | 'default-service' | 'default-batch'

const TYPES: readonly string[] = [
  'default',
  'service',
  'batch',
  'default-service',
  'default-batch',
] satisfies TokenType[]

/** How the tokens of a role's logins are; times in milliseconds, 0 for what was not said. */
export interface TokenParams {
  readonly ttlMs: number
  readonly maxTtlMs: number
  readonly explicitMaxTtlMs: number
  readonly periodMs: number
  readonly policies: readonly string[]
  readonly boundCidrs: readonly string[]
  readonly noDefaultPolicy: boolean
  readonly numUses: number
  readonly type: TokenType
  readonly strictlyBindIp: boolean
  /** The older names that it was written with: it is shown under them too. */
  readonly older: readonly OlderName[]
}

export const NO_PARAMS: TokenParams = {
  ttlMs: 0,
  maxTtlMs: 0,
  explicitMaxTtlMs: 0,
  periodMs: 0,
  policies: [],
  boundCidrs: [],
  noDefaultPolicy: false,
  numUses: 0,
  type: 'default',
  strictlyBindIp: false,
  older: [],
}

/** The newer name of each older one. */
const NEWER = {
  policies: 'token_policies',
  ttl: 'token_ttl',
  max_ttl: 'token_max_ttl',
  period: 'token_period',
  bound_cidrs: 'token_bound_cidrs',
  num_uses: 'token_num_uses',
} as const
type OlderName = keyof typeof NEWER

type Said = Pick<Call<typeof tokenFields>, 'fields' | 'given'>

/** Reads the fields of a request over those that a role has already. */
export function readTokenParams(
  call: Said,
  before: TokenParams = NO_PARAMS,
): TokenParams | Refusal {
  const older = olderNames(call, before)
  /** What a field says under the newer name or the older one; undefined for nothing. */
  const said = <T>(newer: keyof typeof tokenFields, old?: OlderName): T | undefined => {
    const name = call.given(newer) ? newer : old !== undefined && call.given(old) ? old : undefined
    return name && (call.fields[name] as T | undefined)
  }
  const type = said<string>('token_type')
  if (type !== undefined && type !== '' && !TYPES.includes(type)) {
    return new Refusal(400, `invalid 'token_type' value ${JSON.stringify(type)}`)
  }
  const policies = said<readonly string[]>('token_policies', 'policies')
  const params: TokenParams = {
    ttlMs: said('token_ttl', 'ttl') ?? before.ttlMs,
    maxTtlMs: said('token_max_ttl', 'max_ttl') ?? before.maxTtlMs,
    explicitMaxTtlMs: said('token_explicit_max_ttl') ?? before.explicitMaxTtlMs,
    periodMs: said('token_period', 'period') ?? before.periodMs,
    policies: policies === undefined ? before.policies : cleanPolicies(policies),
    boundCidrs: said('token_bound_cidrs', 'bound_cidrs') ?? before.boundCidrs,
    noDefaultPolicy: said('token_no_default_policy') ?? before.noDefaultPolicy,
    numUses: said('token_num_uses', 'num_uses') ?? before.numUses,
    type: type === undefined ? before.type : ((type || 'default') as TokenType),
    strictlyBindIp: said('token_strictly_bind_ip') ?? before.strictlyBindIp,
    older,
  }
  return refuseParams(params) ?? params
}

/** An older name stays until the newer one is used. */
const olderNames = ({ given }: Said, before: TokenParams): OlderName[] =>
  (Object.keys(NEWER) as OlderName[]).filter(
    old => !given(NEWER[old]) && (given(old) || before.older.includes(old)),
  )

function refuseParams(params: TokenParams): Refusal | undefined {
  const { ttlMs, maxTtlMs, numUses, periodMs, type, boundCidrs } = params
  if (maxTtlMs > 0 && ttlMs > maxTtlMs) {
    return new Refusal(400, "'token_ttl' cannot be greater than 'token_max_ttl'")
  }
  if (numUses < 0) return new Refusal(400, "'token_num_uses' cannot be negative")
  const refused = refuseCidrs('token_bound_cidrs', boundCidrs)
  if (refused !== undefined) return refused
  if (type !== 'batch' && type !== 'default-batch') return undefined
  const never = "'token_type' cannot be 'batch' or 'default_batch' when set to generate"
  if (periodMs > 0) return new Refusal(400, `${never} periodic tokens`)
  if (numUses > 0) return new Refusal(400, `${never} tokens with limited use count`)
  return undefined
}

/** The refusal of texts that are no ranges of addresses. */
export function refuseCidrs(name: string, cidrs: readonly string[]): Refusal | undefined {
  const bad = cidrs.find(text => parseNetwork(text) === undefined)
  return bad === undefined
    ? undefined
    : new Refusal(400, `error parsing address ${JSON.stringify(bad)} of ${JSON.stringify(name)}`)
}

/** What a role shows of its tokens: the newer names always, an older one where it was used. */
export function showTokenParams(params: TokenParams): Record<string, unknown> {
  const shown: Record<string, unknown> = {
    token_bound_cidrs: params.boundCidrs,
    token_explicit_max_ttl: toSeconds(params.explicitMaxTtlMs),
    token_max_ttl: toSeconds(params.maxTtlMs),
    token_no_default_policy: params.noDefaultPolicy,
    token_num_uses: params.numUses,
    token_period: toSeconds(params.periodMs),
    token_policies: params.policies,
    token_strictly_bind_ip: params.strictlyBindIp,
    token_ttl: toSeconds(params.ttlMs),
    token_type: params.type,
  }
  for (const old of params.older) shown[old] = shown[NEWER[old]]
  return shown
}

/** The shapes of what `showTokenParams` gives, to spread into a role's answer. */
export const tokenParamShapes = {
  token_bound_cidrs: shape.texts,
  token_explicit_max_ttl: shape.int,
  token_max_ttl: shape.int,
  token_no_default_policy: shape.bool,
  token_num_uses: shape.int,
  token_period: shape.int,
  token_policies: shape.texts,
  token_strictly_bind_ip: shape.bool,
  token_ttl: shape.int,
  token_type: shape.text,
  policies: shape.optional(shape.texts),
  ttl: shape.optional(shape.int),
  max_ttl: shape.optional(shape.int),
  period: shape.optional(shape.int),
  bound_cidrs: shape.optional(shape.texts),
  num_uses: shape.optional(shape.int),
}
