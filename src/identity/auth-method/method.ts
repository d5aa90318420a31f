/**
 * Auth methods: what one may say when it is written, whatever its type.
 *
 * Owns the checks of the fields that all types have, in Consul's words, and which types there are.
 * What a type's `Config` may say is the type's (jwt.ts). Pure.
 */
import { formatDuration } from '../../base/duration.ts'
import { Refusal } from '../../base/errors.ts'
import { type JwtConfig, readJwtConfig } from './jwt.ts'

/** The fields of an auth method that are checked. */
export interface AuthMethodFields {
  readonly name: string
  readonly type: string
  /** 0 for tokens that do not expire by themselves. */
  readonly maxTokenTtlMs: number
  /** '' means `local`. */
  readonly tokenLocality: string
  readonly config: Readonly<Record<string, unknown>>
}

/** How long tokens may be valid. */
export interface TtlBounds {
  readonly minMs: number
  readonly maxMs: number
}

const NAME = /^[A-Za-z0-9_-]{1,128}$/

/** Types that come with the logins of the secrets side. */
const LATER = ['kubernetes', 'aws-iam', 'oidc']

/** The configuration of a method that may be written as it is; else why it may not. */
export function readAuthMethod(
  method: AuthMethodFields,
  { minMs, maxMs }: TtlBounds,
): JwtConfig | Refusal {
  const { name, type, maxTokenTtlMs, tokenLocality } = method
  if (name === '') return invalid('no Name is set')
  if (!NAME.test(name)) {
    return invalid("invalid Name. Only alphanumeric characters, '-' and '_' are allowed")
  }
  if (LATER.includes(type)) {
    return new Refusal(501, `not served yet: auth methods of type ${JSON.stringify(type)}`)
  }
  if (type !== 'jwt') return invalid('Type should be one of: [aws-iam jwt kubernetes]')
  if (maxTokenTtlMs !== 0) {
    const ttl = `MaxTokenTTL ${formatDuration(maxTokenTtlMs)} cannot be`
    if (maxTokenTtlMs > maxMs) return new Refusal(500, `${ttl} more than ${formatDuration(maxMs)}`)
    if (maxTokenTtlMs < minMs) return new Refusal(500, `${ttl} less than ${formatDuration(minMs)}`)
  }
  if (!['', 'local', 'global'].includes(tokenLocality)) {
    return invalid("TokenLocality should be one of 'local' or 'global'")
  }
  const config = readJwtConfig(method.config)
  return typeof config === 'string' ? invalid(config) : config
}

const invalid = (text: string): Refusal => new Refusal(500, `Invalid Auth Method: ${text}`)
