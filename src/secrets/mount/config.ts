/**
 * What is configured of a mount: read from requests, and shown.
 *
 * Owns the words of `config` when something is mounted, and of tuning, which says the same at its
 * top. Pure.
 */
import { Refusal } from '../../base/errors.ts'
import {
  bool,
  type JsonObject,
  list,
  map,
  readFields,
  str,
  toDurationMs,
  toSeconds,
  type Values,
} from '../field.ts'
import { DEFAULT_LOCKOUT } from '../lockout/lockout.ts'
import type { Draft } from '../storage.ts'
import type { MountConfig, MountKind, MountRow } from './mount.ts'

export const configFields = {
  default_lease_ttl: str(
    "How long what it gives lives unless told otherwise; '' as before, `system` as everywhere.",
  ),
  max_lease_ttl: str(
    "The longest that what it gives may live; '' as before, `system` as everywhere.",
  ),
  force_no_cache: bool('Whether answers are never kept. Nothing here keeps them.'),
  audit_non_hmac_request_keys: list('Keys of requests that the audit shows in clear.'),
  audit_non_hmac_response_keys: list('Keys of answers that the audit shows in clear.'),
  listing_visibility: str('Whether the login page shows it: `unauth`, `hidden` or nothing.'),
  passthrough_request_headers: list('Headers of requests that it may see.'),
  allowed_response_headers: list('Headers that its answers may have.'),
  token_type: str('What logins give: service, batch, default-service or default-batch.'),
  user_lockout_config: map('When a user who fails to log in is locked out.'),
}

/** What a request says of a mount's configuration. */
export type GivenConfig = Values<typeof configFields>

const LIST_KEYS = [
  ['audit_non_hmac_request_keys', 'auditNonHmacRequestKeys'],
  ['audit_non_hmac_response_keys', 'auditNonHmacResponseKeys'],
  ['passthrough_request_headers', 'passthroughRequestHeaders'],
  ['allowed_response_headers', 'allowedResponseHeaders'],
] as const

/** Reads the `config` of what is to be mounted. */
export function readGiven(config: JsonObject): GivenConfig | Refusal {
  const read = readFields(configFields, config, {})
  return read instanceof Refusal
    ? new Refusal(400, 'unable to convert given mount config information')
    : read.values
}

type Mount = Pick<MountRow, 'kind' | 'type' | 'config'>

/** The configuration that a mount has once what was given holds too. */
export function configured(
  { ttls: system }: Pick<Draft, 'ttls'>,
  mount: Mount,
  given: GivenConfig,
): MountConfig | Refusal {
  const { config: before } = mount
  const ttls = ttlsGiven(before, given, system.maxMs)
  if (ttls instanceof Refusal) return ttls
  const visibility = visibilityOf(given.listing_visibility)
  if (visibility instanceof Refusal) return visibility
  const tokenType = tokenTypeOf(mount, given.token_type)
  if (tokenType instanceof Refusal) return tokenType
  const userLockout = lockoutOf(mount, given.user_lockout_config)
  if (userLockout instanceof Refusal) return userLockout
  const lists: Record<string, readonly string[]> = {}
  for (const [name, key] of LIST_KEYS) {
    const value = given[name]
    if (value !== undefined) lists[key] = value
  }
  return {
    ...before,
    ...ttls,
    ...lists,
    ...(given.force_no_cache === undefined ? {} : { forceNoCache: given.force_no_cache }),
    ...(visibility === undefined ? {} : { listingVisibility: visibility }),
    ...(tokenType === undefined ? {} : { tokenType }),
    ...(userLockout === undefined ? {} : { userLockout }),
  }
}

type Ttls = Pick<MountConfig, 'defaultLeaseTtlMs' | 'maxLeaseTtlMs'>

function ttlsGiven(before: Ttls, given: GivenConfig, systemMaxMs: number): Ttls | Refusal {
  const defaultLeaseTtlMs = ttlOf('default', given.default_lease_ttl, before.defaultLeaseTtlMs)
  if (defaultLeaseTtlMs instanceof Refusal) return defaultLeaseTtlMs
  const maxLeaseTtlMs = ttlOf('max', given.max_lease_ttl, before.maxLeaseTtlMs)
  if (maxLeaseTtlMs instanceof Refusal) return maxLeaseTtlMs
  if (maxLeaseTtlMs !== 0 && defaultLeaseTtlMs > maxLeaseTtlMs) {
    const [max, initial] = [maxLeaseTtlMs / 1_000, defaultLeaseTtlMs / 1_000]
    return new Refusal(
      400,
      `backend max lease TTL of ${max} would be less than backend default lease TTL of ${initial}`,
    )
  }
  if (maxLeaseTtlMs === 0 && defaultLeaseTtlMs > systemMaxMs) {
    const max = systemMaxMs / 1_000
    const text = 'given default lease TTL greater than system max lease TTL of'
    return new Refusal(400, `${text} ${max}`)
  }
  return { defaultLeaseTtlMs, maxLeaseTtlMs }
}

function ttlOf(which: string, text: string | undefined, before: number): number | Refusal {
  if (text === undefined || text === '') return before
  if (text === 'system') return 0
  const ttlMs = toDurationMs(text)
  return ttlMs === undefined || ttlMs < 0
    ? new Refusal(400, `unable to parse ${which} TTL: not a duration`)
    : ttlMs
}

const VISIBILITIES = ['', 'unauth', 'hidden'] as const

function visibilityOf(text: string | undefined): MountConfig['listingVisibility'] | Refusal {
  if (text === undefined) return undefined
  const found = VISIBILITIES.find(each => each === text)
  return found ?? new Refusal(400, `invalid listing_visibility ${text}`)
}

const TOKEN_TYPES = ['default-service', 'default-batch', 'service', 'batch'] as const

function tokenTypeOf(
  { kind, type }: Mount,
  text: string | undefined,
): MountConfig['tokenType'] | Refusal {
  if (text === undefined) return undefined
  if (kind !== 'auth') {
    return new Refusal(400, "'token_type' can only be modified on auth mounts")
  }
  if (type === 'token') {
    return new Refusal(400, "'token_type' cannot be set for 'token' or 'ns_token' auth mounts")
  }
  if (text === '') return 'default-service'
  return (
    TOKEN_TYPES.find(each => each === text) ?? new Refusal(400, "invalid value for 'token_type'")
  )
}

const LOCKING = ['approle', 'ldap', 'userpass']

const lockoutFields = {
  lockout_threshold: str('How many failures lock a user out.'),
  lockout_duration: str('How long.'),
  lockout_counter_reset: str('How long after the last failure they are forgotten.'),
  lockout_counter_reset_duration: str('The same.'),
  lockout_disable: bool('Whether nobody is locked out.'),
}

function lockoutOf(
  { type, config }: Mount,
  given: JsonObject | undefined,
): MountConfig['userLockout'] | Refusal {
  if (given === undefined || Object.keys(given).length === 0) return undefined
  if (!LOCKING.includes(type)) {
    const name = JSON.stringify(type)
    return new Refusal(
      400,
      `tuning of user lockout configuration for auth type ${name} not allowed`,
    )
  }
  const read = readFields(lockoutFields, given, {})
  if (read instanceof Refusal) {
    return new Refusal(400, 'unable to convert given user lockout config information')
  }
  const { values } = read
  const before = config.userLockout ?? DEFAULT_LOCKOUT
  const thresholdCount = countOf(values.lockout_threshold, before.thresholdCount)
  if (thresholdCount instanceof Refusal) return thresholdCount
  const durationMs = lockoutTime(values.lockout_duration, before, 'durationMs')
  if (durationMs instanceof Refusal) return durationMs
  const reset = values.lockout_counter_reset_duration ?? values.lockout_counter_reset
  const counterResetMs = lockoutTime(reset, before, 'counterResetMs')
  if (counterResetMs instanceof Refusal) return counterResetMs
  const isDisabled = values.lockout_disable ?? before.isDisabled
  return { thresholdCount, durationMs, counterResetMs, isDisabled }
}

function countOf(text: string | undefined, before: number): number | Refusal {
  if (text === undefined || text === '') return before
  return /^\d{1,9}$/.test(text)
    ? Number(text)
    : new Refusal(400, 'unable to parse user lockout threshold: not a number')
}

function lockoutTime(
  text: string | undefined,
  before: typeof DEFAULT_LOCKOUT,
  key: 'durationMs' | 'counterResetMs',
): number | Refusal {
  if (text === undefined || text === '') return before[key]
  if (text === 'system') return DEFAULT_LOCKOUT[key]
  const timeMs = toDurationMs(text)
  return timeMs === undefined || timeMs < 0
    ? new Refusal(400, 'unable to parse user lockout: not a duration')
    : timeMs
}

/** What is shown of a configuration beside its times, in the words of requests. */
export function showConfig(kind: MountKind, config: MountConfig): Record<string, unknown> {
  const shown: Record<string, unknown> = { force_no_cache: config.forceNoCache }
  for (const [name, key] of LIST_KEYS) {
    const value = config[key]
    if (value !== undefined) shown[name] = value
  }
  if (config.listingVisibility) shown.listing_visibility = config.listingVisibility
  if (kind === 'auth') shown.token_type = config.tokenType ?? 'default-service'
  return shown
}

/** What is shown of the lockout, flat. */
export const showLockout = ({ userLockout }: MountConfig): Record<string, unknown> =>
  userLockout === undefined
    ? {}
    : {
        user_lockout_counter_reset_duration: toSeconds(userLockout.counterResetMs),
        user_lockout_threshold: userLockout.thresholdCount,
        user_lockout_duration: toSeconds(userLockout.durationMs),
        user_lockout_disable: userLockout.isDisabled,
      }
