/**
 * Auth methods: what one may say when it is written, whatever its type.
 *
 * Owns the checks of the fields that all types have, in Consul's words, and which types there are.
 * What a type's `Config` may say is the type's (jwt.ts). Pure.
 */
import { formatDuration } from '../../base/duration.ts'
import { Refusal } from '../../base/errors.ts'
import type { LoginIdentity } from './identity.ts'
import { blankIdentity, type JwtConfig, readJwtConfig } from './jwt.ts'
import { blankOther, readSecretsConfig, SECRETS_TYPE, type SecretsConfig } from './secrets.ts'

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

/** What a method of some type says. */
export type MethodConfig =
  | { readonly type: 'jwt'; readonly jwt: JwtConfig }
  | { readonly type: typeof SECRETS_TYPE; readonly secrets: SecretsConfig }

/** The configuration of a method that may be written as it is; else why it may not. */
export function readAuthMethod(
  method: AuthMethodFields,
  { minMs, maxMs }: TtlBounds,
): MethodConfig | Refusal {
  const { name, type, maxTokenTtlMs, tokenLocality } = method
  if (name === '') return invalid('no Name is set')
  if (!NAME.test(name)) {
    return invalid("invalid Name. Only alphanumeric characters, '-' and '_' are allowed")
  }
  if (LATER.includes(type)) {
    return new Refusal(501, `not served yet: auth methods of type ${JSON.stringify(type)}`)
  }
  if (type !== 'jwt' && type !== SECRETS_TYPE) {
    return invalid('Type should be one of: [aws-iam jwt kubernetes]')
  }
  if (type === SECRETS_TYPE && maxTokenTtlMs !== 0) {
    return invalid(`MaxTokenTTL means nothing for type ${SECRETS_TYPE}: it gives no tokens`)
  }
  if (maxTokenTtlMs !== 0) {
    const ttl = `MaxTokenTTL ${formatDuration(maxTokenTtlMs)} cannot be`
    if (maxTokenTtlMs > maxMs) return new Refusal(500, `${ttl} more than ${formatDuration(maxMs)}`)
    if (maxTokenTtlMs < minMs) return new Refusal(500, `${ttl} less than ${formatDuration(minMs)}`)
  }
  if (!['', 'local', 'global'].includes(tokenLocality)) {
    return invalid("TokenLocality should be one of 'local' or 'global'")
  }
  const config = readConfig(type, method.config)
  return typeof config === 'string' ? invalid(config) : config
}

/** Reads the `Config` of a type; gives what is wrong with it where it cannot be used. */
export function readConfig(
  type: string,
  raw: Readonly<Record<string, unknown>>,
): MethodConfig | string {
  if (type === SECRETS_TYPE) {
    const secrets = readSecretsConfig(raw)
    return typeof secrets === 'string' ? secrets : { type, secrets }
  }
  const jwt = readJwtConfig(raw)
  return typeof jwt === 'string' ? jwt : { type: 'jwt', jwt }
}

/** What stands for anybody whom a method knows: every name that a rule may use. */
export const blankOf = (config: MethodConfig): LoginIdentity =>
  config.type === 'jwt' ? blankIdentity(config.jwt) : blankOther(config.secrets)

const invalid = (text: string): Refusal => new Refusal(500, `Invalid Auth Method: ${text}`)
